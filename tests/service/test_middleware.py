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
from brainslice.service.settings import Limits, Settings

MakeClient = Callable[..., TestClient]


class BrokenEngine:
    def run(self, batch: InputBatch) -> EngineOutput:
        msg = f"Doe.png: {batch.shape} cannot be answered"
        raise BundleError(msg)


def png(scans: list[Path]) -> bytes:
    return bytes(scans[0].read_bytes())


def test_exceptions_are_logged_and_not_disclosed(
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


def test_log_lines_hold_no_names_urls_or_parameters(
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
def test_every_response_has_security_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert {name: headers[name] for name in HEADERS} == HEADERS


async def refuse(_: Scope, __: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 403, "headers": []})
    await send({"type": "http.response.body", "body": b"no"})


def send_upload(headers: list[tuple[bytes, bytes]], chunks: int) -> tuple[int, list[Message]]:
    """Upload to an application that rejects without reading; return the number of chunks read and the messages."""
    read, sent = 0, []

    async def receive() -> Message:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": b"x" * 1000, "more_body": read < chunks}

    async def send(message: Message) -> None:
        await asyncio.sleep(0)
        sent.append(message)

    limits = Limits()
    middleware = LoggingMiddleware(refuse, Metrics(ConcurrencyLimit(limits), "0", "0" * 64), frozenset())
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    asyncio.run(middleware(scope, receive, send))
    return read, sent


def test_rejected_bodies_are_read_to_the_end() -> None:
    read, sent = send_upload([(b"content-length", b"5000")], 5)
    assert read == 5
    assert [message.get("status") for message in sent] == [403, None]


def test_expect_100_continue_is_answered_without_reading() -> None:
    read, _ = send_upload([(b"content-length", b"5000"), (b"expect", b"100-continue")], 5)
    assert read == 0


def test_endless_bodies_are_read_for_a_limited_time() -> None:
    read, sent = send_upload([(b"transfer-encoding", b"chunked")], 10**9)
    assert 60_000 < read < 80_000
    assert sent[0]["status"] == 403


TOKEN = "open-sesame-open-sesame"  # noqa: S105 - of these tests only
MakeClient = Callable[..., TestClient]

BROWSER = {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}


def code(client: TestClient, path: str = "/model", **headers: str) -> str:
    answer = client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    return "ok" if answer.status_code == 200 else str(answer.json()["code"])


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "LOCALHOST:1", "[::1]:8000"])
def test_loopback_service_accepts_loopback_hosts(client: TestClient, host: str) -> None:
    assert code(client, host=host) == "ok"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "[", "user@evil.example:8000", "10.0.0.1"]
)
def test_dns_rebinding_is_refused(client: TestClient, host: str) -> None:
    assert code(client, host=host) == "foreign_host"
    assert code(client, "/livez", host=host) == "ok"


def test_same_origin_requests_are_accepted(client: TestClient) -> None:
    assert code(client, **BROWSER) == "ok"
    assert code(client, Sec_Fetch_Site="none") == "ok"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9000"},
        {"Origin": "http://["},
    ],
)
def test_cross_site_requests_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    assert code(client, **headers) == "cross_site"


def test_pages_of_an_allowed_origin_pass_with_the_token_and_get_the_headers_they_need(make_client: MakeClient) -> None:
    viewer = {"Origin": "https://viewer.example.org", "Sec-Fetch-Site": "cross-site"}
    client = make_client(Settings(token=TOKEN, origins=("https://viewer.example.org",)))
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    preflight = client.options("/predict", headers=viewer | asked)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, viewer["Origin"])
    assert client.get("/model", headers=viewer).status_code == 401
    answer = client.get("/model", headers=viewer | {"Authorization": f"Bearer {TOKEN}"})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, viewer["Origin"])
    other = client.options("/predict", headers=asked | {"Origin": "https://evil.example"})
    assert (other.status_code, "access-control-allow-origin" in other.headers) == (400, False)
    assert code(client, Origin="https://evil.example", Authorization=f"Bearer {TOKEN}") == "cross_site"


@pytest.mark.parametrize("path", ["/predict", "/explain", "/volume"])
def test_cross_site_forms_are_refused(client: TestClient, path: str) -> None:
    answer = client.post(path, files={"files": b"x"}, headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")


def test_only_probes_and_page_need_no_token(make_client: MakeClient) -> None:
    client = make_client(Settings(host="0.0.0.0", token=TOKEN))  # noqa: S104 - nothing listens
    paths = ["/model", "/metrics", "/openapi.json", "/nothing", "/volume/x/slices/1"]
    assert {code(client, path) for path in paths} == {"token_needed"}
    assert {code(client, path) for path in ("/livez", "/readyz")} == {"ok"}
    answer = client.post("/predict", files={"files": b"x"})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("told", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"Bearer  {TOKEN} "])
def test_valid_token_is_accepted(make_client: MakeClient, told: str) -> None:
    client = make_client(Settings(token=TOKEN))
    assert code(client, Authorization=told) == "ok"


@pytest.mark.parametrize("told", ["", TOKEN, f"Basic {TOKEN}", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}"])
def test_other_tokens_are_refused(make_client: MakeClient, told: str) -> None:
    client = make_client(Settings(token=TOKEN))
    assert code(client, Authorization=told) == "token_needed"


def test_allowed_hosts_with_a_token(make_client: MakeClient) -> None:
    key = {"Authorization": f"Bearer {TOKEN}"}
    named = make_client(Settings(host="0.0.0.0", token=TOKEN, hosts=("scans.example.org",)))  # noqa: S104
    assert code(named, host="scans.example.org", **key) == "ok"
    assert code(named, host="evil.example", **key) == "foreign_host"
    any_name = make_client(Settings(host="0.0.0.0", token=TOKEN))  # noqa: S104
    assert code(any_name, host="scans.example.org", **key) == "ok"
