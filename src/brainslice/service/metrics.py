"""Prometheus metrics, without information on single scans."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from brainslice.service.concurrency_limit import ConcurrencyLimit

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
"""The media type of the Prometheus text format."""

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_SCANS: Final = (1, 2, 4, 8, 16, 32)


class Metrics:
    """The metrics of a service.

    Attributes:
        scans: The number of scans by outcome: ``answered`` or ``refused``.
        batches: The batch sizes of the network.
    """

    def __init__(self, limit: ConcurrencyLimit, version: str, model: str) -> None:
        self._collectors = CollectorRegistry()
        self._requests = Counter(
            "brainslice_requests", "Requests answered.", ("method", "route", "status"), registry=self._collectors
        )
        self._seconds = Histogram(
            "brainslice_request_seconds", "Seconds from request to answer.", ("route",),
            buckets=_SECONDS, registry=self._collectors,
        )  # fmt: skip
        self.scans = Counter(
            "brainslice_scans", "Scans, by what came of them.", ("outcome",), registry=self._collectors
        )
        self.batches = Histogram(
            "brainslice_batch_scans", "Scans in one run of the network.", buckets=_SCANS, registry=self._collectors
        )
        self._gauge("brainslice_requests_in_work", "Requests in work or waiting.").set_function(lambda: limit.requests)
        self._gauge("brainslice_upload_bytes", "Bytes of uploads in memory.").set_function(lambda: limit.held_bytes)
        about = Gauge("brainslice_about", "What answers.", ("version", "model"), registry=self._collectors)
        about.labels(version, model).set(1)
        for outcome in ("answered", "refused"):
            self.scans.labels(outcome)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request by method, path template (``page`` for static files) and status, with its duration."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        return generate_latest(self._collectors)

    def _gauge(self, name: str, help_text: str) -> Gauge:
        return Gauge(name, help_text, registry=self._collectors)
