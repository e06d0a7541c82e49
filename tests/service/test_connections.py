from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from brainslice.inference.predictor import Predictor
from brainslice.service.app import create_app
from brainslice.service.server import Server, server_config
from brainslice.service.settings import Limits, Settings

Connect = Callable[[], socket.socket]


@contextlib.contextmanager
def listening(predictor: Predictor, limits: Limits, other: ASGIApp | None = None) -> Iterator[Connect]:
    """Serve in a thread of this process; gives what opens a connection."""
    app = create_app(predictor, Settings(limits=limits))
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as opened:
        started = threading.Event()
        server = Server(server_config(other or app, limits), app.state.service, started.set)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        assert started.wait(60)
        address = listener.getsockname()
        try:
            yield lambda: opened.enter_context(socket.create_connection(address, timeout=60))
        finally:
            opened.close()
            server.should_exit = True
            thread.join(60)


def answer(connection: socket.socket) -> tuple[int, dict[str, str]]:
    """Read until the other side closes; gives the status and the problem."""
    received = b""
    while block := connection.recv(1 << 16):
        received += block
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def test_incomplete_headers_time_out(predictor: Predictor) -> None:
    with listening(predictor, Limits(header_seconds=0.3)) as connect:
        silent, half = connect(), connect()
        half.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
        for connection in (silent, half):
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(1) == b""


def test_oldest_idle_connection_is_closed_beyond_the_limit(predictor: Predictor) -> None:
    with listening(predictor, Limits(connections=4, header_seconds=60.0)) as connect:
        half_open = [connect() for _ in range(12)]
        for connection in half_open:
            with contextlib.suppress(OSError):
                connection.sendall(b"GET /livez HTTP/1.1\r\n")
        probe = connect()
        probe.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert answer(probe) == (200, {"status": "alive"})
        closed = 0
        for connection in half_open:
            connection.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                try:
                    closed += connection.recv(1) == b""
                except ConnectionResetError:
                    closed += 1
        assert closed >= 8


@pytest.mark.parametrize("complete", [True, False], ids=["complete", "without an end"])
@pytest.mark.parametrize(
    ("head", "status", "code"),
    [
        (b"GET /%s HTTP/1.1\r\nHost: 127.0.0.1\r\n", 414, "url_too_long"),
        (b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: %s\r\n", 431, "headers_too_large"),
        (b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n%s: x\r\n", 431, "headers_too_large"),
    ],
)
def test_oversized_urls_and_headers_have_their_own_status(
    predictor: Predictor, head: bytes, status: int, code: str, *, complete: bool
) -> None:
    with listening(predictor, Limits()) as connect:
        connection = connect()
        sent = head % (b"x" * 40_000)
        with contextlib.suppress(ConnectionError):
            connection.sendall(sent + b"Connection: close\r\n\r\n" if complete else sent.split(b"xx: x")[0][:39_000])
        got, problem = answer(connection)
        assert (got, problem["code"]) == (status, code)


def test_a_url_of_moderate_length_is_refused_too(predictor: Predictor) -> None:
    with listening(predictor, Limits()) as connect:
        connection = connect()
        connection.sendall(b"GET /?%s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n" % (b"x" * 9000))
        assert answer(connection)[0] == 414


def test_malformed_requests_get_400(predictor: Predictor) -> None:
    with listening(predictor, Limits()) as connect:
        connection = connect()
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        got, problem = answer(connection)
        assert (got, problem["code"]) == (400, "bad_upload")


def test_clients_that_do_not_read_are_disconnected(predictor: Predictor) -> None:
    ended = threading.Event()

    async def endless(scope: Scope, _: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while not ended.is_set():
                await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
        finally:
            ended.set()

    limits = Limits(upload_seconds=0.2, answer_seconds=0.2, send_seconds=0.2)
    with listening(predictor, limits, endless) as connect:
        connection = connect()
        connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        start = time.monotonic()
        time.sleep(1.0)
        with contextlib.suppress(ConnectionError):
            while connection.recv(1 << 20):
                assert time.monotonic() < start + 30
        ended.set()


def test_slow_bodies_lose_their_slot(predictor: Predictor) -> None:
    with listening(predictor, Limits(stall_seconds=0.3)) as connect:
        connection = connect()
        kind = b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 100000\r\n"
        connection.sendall(
            b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" + kind + b"\r\n--x\r\n"
        )
        for _ in range(20):
            time.sleep(0.05)
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"C")
        got, problem = answer(connection)
        assert (got, problem["code"]) == (408, "slow_upload")
