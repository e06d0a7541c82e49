from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import httpx2
import pytest

from brainslice.errors import UsageError
from brainslice.inference.predictor import Predictor
from brainslice.service.server import _listening, run_server
from brainslice.service.settings import Settings
from served import START_SECONDS

SERVE = "from brainslice.cli.main import main; main()"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")


@contextlib.contextmanager
def serving(served: Path, *words: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    command = [sys.executable, "-c", SERVE, "serve", "--bundle", str(served / "models" / "bundle"), "--port", "0"]
    # What it says goes to a file: a pipe that nobody reads fills up, and the service hangs.
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen([*command, *words], stdout=said, stderr=subprocess.STDOUT) as process,
    ):
        try:
            yield process, _address(process, said)
        finally:
            process.kill()


def _address(process: subprocess.Popen[bytes], said: IO[bytes]) -> str:
    """Wait until the service says where it listens."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        # By its place, as the service writes at the place where the same open file stands.
        words = os.pread(said.fileno(), 1 << 16, 0).decode(errors="replace")
        if address := re.search(r"listening on (\S+)/", words):
            return address[1]
        time.sleep(0.05)
    pytest.fail("the service did not listen")


def test_graceful_shutdown_finishes_running_requests(served: Path, scans: list[Path]) -> None:
    with serving(served) as (process, address), httpx2.Client(base_url=address, timeout=60) as client:
        assert client.get("/readyz").status_code == 200
        told: list[int] = []
        body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n' + scans[0].read_bytes()
        go_on, begun = threading.Event(), threading.Event()

        def slowly() -> Iterator[bytes]:
            yield body
            begun.set()
            go_on.wait(30)
            yield b"\r\n--x--\r\n"

        def upload() -> None:
            kind = {"Content-Type": "multipart/form-data; boundary=x"}
            told.append(httpx2.post(f"{address}/predict", content=slowly(), headers=kind, timeout=60).status_code)

        uploading = threading.Thread(target=upload)
        uploading.start()
        begun.wait(30)
        in_work = "brainslice_requests_in_work 1.0"
        while in_work not in client.get("/metrics").text:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        while client.get("/readyz").status_code == 200:
            time.sleep(0.02)
        assert client.get("/readyz").json()["code"] == "draining"
        assert client.get("/livez").status_code == 200
        refused = client.post("/predict", files={"files": scans[0].read_bytes()})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        go_on.set()
        uploading.join(60)
        assert told == [200]
        assert process.wait(60) == 0


def test_interrupt_shuts_down_gracefully(served: Path) -> None:
    with serving(served) as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_the_body_of_a_response_does_not_wait_for_an_acknowledgement_of_its_head() -> None:
    with (
        _listening(Settings(port=0)) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as connection,
    ):
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_port_in_use_raises(predictor: Predictor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"127.0.0.1:{port}.*--port"):
            run_server(predictor, Settings(port=port), lambda _: None)
