from __future__ import annotations

import asyncio
import builtins
import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from starlette.testclient import TestClient

from brainslice.arrays import InputBatch
from brainslice.inference import Engine, EngineOutput
from brainslice.inference.predictor import Predictor
from brainslice.service.app import create_app
from brainslice.service.settings import Batching, Limits, Settings

MakeClient = Callable[..., TestClient]

LOADED = """
import sys
import brainslice.service.server, brainslice.inference.volume, brainslice.inference.overlay
heavy = {"keras", "tensorflow", "sklearn", "scipy", "matplotlib", "onnx", "torch", "jax", "pandas"}
print(sorted(heavy & set(sys.modules)))
"""


def test_serving_loads_no_training_library() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/predict/", 404, "not_found"),
        ("GET", "/../../etc/passwd", 404, "not_found"),
        ("GET", "/predict", 405, "wrong_method"),
        ("POST", "/model", 405, "wrong_method"),
        ("POST", "/predict", 415, "wrong_type"),
    ],
)
def test_every_error_is_a_problem(client: TestClient, method: str, path: str, status: int, code: str) -> None:
    answer = client.request(method, path)
    assert answer.status_code == answer.json()["status"] == status
    assert answer.json()["code"] == code
    assert answer.headers["content-type"] == "application/problem+json"
    assert (status == 405) == ("allow" in answer.headers)


class SlowEngine:
    """An engine during whose runs other requests arrive."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def run(self, batch: InputBatch) -> EngineOutput:
        time.sleep(0.1)
        return self._engine.run(batch)


def test_concurrent_requests_share_batches(predictor: Predictor, scans: list[Path]) -> None:
    slow = dataclasses.replace(predictor, engine=SlowEngine(predictor.engine))
    app = create_app(slow, Settings(batching=Batching(size=16, batches=1)))

    async def ask_all() -> list[httpx2.Response]:
        transport = httpx2.ASGITransport(app=app)
        async with (
            app.state.service.lifespan(),
            httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
        ):
            forms = [{"files": (path.name, path.read_bytes())} for path in scans]
            return await asyncio.gather(*(client.post("/predict", files=form) for form in forms))

    answers = asyncio.run(ask_all())
    for path, answer in zip(scans, answers, strict=True):
        (row,) = answer.json()["predictions"]
        assert row["source"] == path.name
        assert row["probabilities"] == pytest.approx(predictor.predict(path).probabilities, abs=1e-6)
    text = app.state.service.metrics.text().decode()
    runs = next(line for line in text.splitlines() if line.startswith("brainslice_batch_scans_count"))
    assert float(runs.split()[1]) < len(scans)


def test_uploads_stay_in_memory(client: TestClient, scans: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real = builtins.open

    def watched(file: object, mode: str = "r", *rest: object, **named: object) -> object:
        if set(mode) & set("wax+"):
            opened.append(str(file))
        return real(file, mode, *rest, **named)

    def refuse(*_: object, **__: object) -> None:
        opened.append("temporary file")

    data = scans[0].read_bytes()
    monkeypatch.setattr(builtins, "open", watched)
    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", refuse)
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    monkeypatch.setattr(os, "open", refuse)
    # Larger than what frameworks keep in memory before they spool to a disk.
    for path, files in (
        ("/predict", [("files", ("a.png", data)), ("files", ("b.bin", bytes(5_000_000)))]),
        ("/explain", [("file", ("a.png", data))]),
    ):
        assert client.post(path, files=files).status_code == 200
    assert opened == []


def test_too_large_requests_are_refused(make_client: MakeClient) -> None:
    client = make_client(Settings(limits=Limits(request_bytes=10_000, file_bytes=5_000)))
    told_in_advance = client.post("/predict", files={"files": bytes(20_000)})
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    in_chunks = client.post("/predict", content=(b"x" * 1000 for _ in range(20)), headers=kind)
    one_file = client.post("/predict", files={"files": bytes(6_000)})
    assert told_in_advance.status_code == one_file.status_code == 413
    assert in_chunks.status_code in {400, 413}


def test_each_service_has_its_own_metrics(make_client: MakeClient) -> None:
    first, second = make_client(), make_client()
    first.get("/model")
    assert 'route="/model"' in first.get("/metrics").text
    assert 'route="/model"' not in second.get("/metrics").text
