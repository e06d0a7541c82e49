from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from brainslice.arrays import InputBatch
from brainslice.errors import BundleError
from brainslice.inference.engines.engine import EngineOutput
from brainslice.inference.predictor import Predictor
from brainslice.service.concurrency_limit import ConcurrencyLimit
from brainslice.service.metrics import Metrics
from brainslice.service.middleware import HEADERS, LoggingMiddleware
from brainslice.service.settings import Limits

MakeClient = Callable[..., TestClient]


class BrokenEngine:
    def run(self, batch: InputBatch) -> EngineOutput:
        msg = f"Doe.png: {batch.shape} cannot be answered"
        raise BundleError(msg)


def png(scans: list[Path]) -> bytes:
    return bytes(scans[0].read_bytes())


def test_a_fault_of_ours_tells_nothing_to_the_outside_and_its_place_to_the_log(
    make_client: MakeClient, predictor: Predictor, scans: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client(other=replace(predictor, engine=BrokenEngine()))
    with caplog.at_level(logging.INFO, "brainslice.service"):
        answer = client.post("/predict", files=[("files", ("Doe.png", png(scans)))])
    assert (answer.status_code, answer.json()["code"]) == (500, "broken")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "BundleError at " in caplog.text
    assert "test_middleware.py" in caplog.text
    assert "Doe" not in caplog.text + answer.text


def test_a_request_is_one_line_without_names_addresses_or_parameters(
    client: TestClient, scans: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        client.post("/explain?class=glioma", files=[("file", ("Doe.png", png(scans)))])
        client.post("/predict", files=[("files", ("Doe.png", b"broken"))])
        client.get("/patients/Doe")
        client.get("/volume/secret-id/slices/1")
    lines = [record.getMessage() for record in caplog.records if record.name == "brainslice.service"]
    assert [line.rsplit(" ", 2)[0] for line in lines] == [
        "POST /explain 200",
        "POST /predict 200",
        "GET unmatched 404",
        "GET /volume/{study_id}/slices/{number} 404",
    ]
    ours = "".join(record.getMessage() for record in caplog.records if not record.name.startswith("http"))
    assert not [word for word in ("Doe", "glioma", "secret-id") if word in ours]


@pytest.mark.parametrize("path", ["/livez", "/model", "/nothing", "/metrics"])
def test_every_answer_carries_safe_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert {name: headers[name] for name in HEADERS} == HEADERS


async def refuse(_: Scope, __: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 403, "headers": []})
    await send({"type": "http.response.body", "body": b"no"})


def speak(headers: list[tuple[bytes, bytes]], chunks: int) -> tuple[int, list[Message]]:
    """Send an upload to who refuses it unread, and tell how much of it was heard."""
    heard, sent = 0, []

    async def receive() -> Message:
        nonlocal heard
        heard += 1
        return {"type": "http.request", "body": b"x" * 1000, "more_body": heard < chunks}

    async def send(message: Message) -> None:
        await asyncio.sleep(0)
        sent.append(message)

    limits = Limits()
    watch = LoggingMiddleware(refuse, Metrics(ConcurrencyLimit(limits), "0", "0" * 64), frozenset())
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    asyncio.run(watch(scope, receive, send))
    return heard, sent


def test_who_is_refused_in_mid_sentence_is_heard_out() -> None:
    heard, sent = speak([(b"content-length", b"5000")], 5)
    assert heard == 5
    assert [message.get("status") for message in sent] == [403, None]


def test_who_asks_before_sending_is_told_at_once() -> None:
    heard, _ = speak([(b"content-length", b"5000"), (b"expect", b"100-continue")], 5)
    assert heard == 0


def test_who_never_ends_is_heard_for_a_while_only() -> None:
    heard, sent = speak([(b"transfer-encoding", b"chunked")], 10**9)
    assert 60_000 < heard < 80_000
    assert sent[0]["status"] == 403
