from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from brainslice.inference.predictor import Predictor
from brainslice.service.settings import Limits, Settings

MakeClient = Callable[..., TestClient]


def test_probes_tell_alive_and_ready(client: TestClient) -> None:
    assert client.get("/livez").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}


def test_a_service_that_ends_lives_but_is_not_ready_and_takes_no_work(client: TestClient, scans: list[Path]) -> None:
    client.app.state.service.concurrency_limit.draining = True
    assert client.get("/livez").status_code == 200
    refused = [client.get("/readyz"), client.post("/predict", files={"files": scans[0].read_bytes()})]
    assert [answer.status_code for answer in refused] == [503, 503]
    assert {answer.json()["code"] for answer in refused} == {"draining"}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)


def test_probes_are_answered_however_busy_the_service_is(make_client: MakeClient, scans: list[Path]) -> None:
    client = make_client(Settings(limits=Limits(requests=1)))
    ticket = client.app.state.service.concurrency_limit.enter()
    busy = client.post("/predict", files={"files": scans[0].read_bytes()})
    assert (busy.status_code, busy.json()["code"]) == (429, "busy")
    assert int(busy.headers["retry-after"]) > 0
    assert client.get("/readyz").status_code == client.get("/livez").status_code == 200
    ticket.leave()
    assert client.post("/predict", files={"files": scans[0].read_bytes()}).status_code == 200


def test_counts_are_what_prometheus_reads(client: TestClient, scans: list[Path]) -> None:
    client.post("/predict", files=[("files", scans[0].read_bytes()), ("files", b"no scan")])
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["brainslice_scans_total", ("outcome", "answered")] == 1
    assert samples["brainslice_scans_total", ("outcome", "refused")] == 1
    assert samples["brainslice_requests_total", ("method", "POST"), ("route", "/predict"), ("status", "200")] == 1
    assert samples["brainslice_batch_scans_sum",] == 1
    assert samples["brainslice_requests_in_work",] == samples["brainslice_upload_bytes",] == 0


def test_the_models_facts_name_the_bundle(client: TestClient, predictor: Predictor) -> None:
    told = client.get("/model").json()
    assert told["digest"] == predictor.bundle.info.digest
    assert told["classes"] == list(predictor.bundle.labels.names)
    assert "research" in told["research_use_only"]


def test_files_of_the_page_are_counted_as_one_and_what_is_not_there_as_another(client: TestClient) -> None:
    for address in ("/", "/app.js", "/words/es.json", "/nothing", "/nothing-else"):
        client.get(address)
    told = client.get("/metrics").text
    counted = [line for line in told.splitlines() if line.startswith("brainslice_requests_total{")]
    assert sorted(line.split("route=")[1] for line in counted) == [
        '"page",status="200"} 3.0',
        '"unmatched",status="404"} 2.0',
    ]
