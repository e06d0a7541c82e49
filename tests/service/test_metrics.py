from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from brainslice.service.concurrency_limit import ConcurrencyLimit
from brainslice.service.metrics import Metrics
from brainslice.service.settings import Limits


def samples(metrics: Metrics) -> dict[str, float]:
    families = text_string_to_metric_families(metrics.text().decode())
    return {
        sample.name + "".join(f"|{value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_gauges_are_read_at_request_time() -> None:
    admission = ConcurrencyLimit(Limits())
    metrics = Metrics(admission, "1.2", "abc")
    ticket = admission.enter()
    ticket.hold(100)
    assert samples(metrics)["brainslice_requests_in_work"] == 1
    assert samples(metrics)["brainslice_upload_bytes"] == 100
    ticket.leave()
    assert samples(metrics)["brainslice_requests_in_work"] == 0
    assert samples(metrics)["brainslice_about|abc|1.2"] == 1


def test_requests_are_counted_by_method_route_and_status() -> None:
    metrics = Metrics(ConcurrencyLimit(Limits()), "0", "0")
    for status in (200, 200, 404):
        metrics.count("GET", "/model", status, 0.02)
    found = samples(metrics)
    assert found["brainslice_requests_total|GET|/model|200"] == 2
    assert found["brainslice_requests_total|GET|/model|404"] == 1
    assert found["brainslice_request_seconds_count|/model"] == 3


def test_outcomes_start_at_zero() -> None:
    found = samples(Metrics(ConcurrencyLimit(Limits()), "0", "0"))
    assert found["brainslice_scans_total|answered"] == found["brainslice_scans_total|refused"] == 0
