"""What the service promises under load, tried on a real one over loopback."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import pytest
from PIL import Image

from browser import draw_tumour
from served import START_SECONDS, write_stand_in

CAPACITY = 4
SERVE = "from brainslice.cli.main import main; main()"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and sends signals")

# Seconds of load, and how often it is repeated.
LOADS = [pytest.param(3.0, id="3 s"), pytest.param(60.0, id="60 s", marks=pytest.mark.slow_only)]
TIMES = [pytest.param(1, id="once"), pytest.param(20, id="20 times", marks=pytest.mark.slow_only)]


def report(line: str) -> None:
    """Show a measured figure with ``pytest -s``, or where a test fails."""
    sys.stdout.write(f"{line}\n")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stand_in(tmp_path_factory.mktemp("served")).folder


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return draw_tumour(tmp_path_factory.mktemp("scan") / "scan.png").read_bytes()


@dataclass
class Service:
    """A service in a process of its own."""

    process: subprocess.Popen[bytes]
    host: str
    log: IO[bytes]

    def get(self, path: str) -> tuple[int, float]:
        """Ask on a new connection; gives status and seconds."""
        start = time.perf_counter()
        connection = http.client.HTTPConnection(self.host, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().status, time.perf_counter() - start

    def resident(self) -> int:
        """Bytes of memory in use."""
        statm = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii")
        return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def decoders(self) -> list[int]:
        """The decoder processes."""
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for path in children for pid in path.read_text(encoding="ascii").split()]


@contextlib.contextmanager
def serving(bundle: Path, *words: str, files: int | None = None) -> Iterator[Service]:
    command = [sys.executable, "-c", SERVE, "serve", "--bundle", str(bundle), "--port", "0", "--threads", "1", *words]
    if files is not None:
        command = ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", *command]
    with tempfile.TemporaryFile() as log, subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as process:
        try:
            end = time.monotonic() + START_SECONDS
            while not (found := re.search(rb"listening on (\S+)", os.pread(log.fileno(), 1 << 16, 0))):
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.05)
            yield Service(process, urlsplit(found[1].decode()).netloc, log)
        finally:
            process.kill()


@dataclass
class Load:
    """Clients that post scans as fast as they are answered, until told to stop."""

    service: Service
    body: bytes
    name: str = "scan.png"
    answers: list[tuple[int, str | None]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def _post(self) -> None:
        head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{self.name}"\r\n\r\n'
        form = head.encode() + self.body + b"\r\n--x--\r\n"
        connection = http.client.HTTPConnection(self.service.host, timeout=60)
        while not self.stopped.is_set():
            try:
                connection.request("POST", "/predict", form, {"Content-Type": "multipart/form-data; boundary=x"})
                response = connection.getresponse()
                response.read()
                self.answers.append((response.status, response.headers["Retry-After"]))
            except (OSError, http.client.HTTPException) as error:
                self.broken.append(type(error).__name__)
                connection.close()
                time.sleep(0.05)
        connection.close()

    @contextlib.contextmanager
    def running(self, clients: int) -> Iterator[None]:
        threads = [threading.Thread(target=self._post) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stopped.set()
            for thread in threads:
                thread.join(60)


@pytest.mark.parametrize("seconds", LOADS)
def test_ten_times_the_capacity_is_answered_or_told_to_come_again(
    bundle: Path, picture: bytes, seconds: float, record_property: pytest.RecordProperty
) -> None:
    with serving(bundle, "--max-requests", str(CAPACITY)) as service:
        with Load(service, picture).running(2 * CAPACITY):
            time.sleep(2.0)
        before, load = service.resident(), Load(service, picture)
        with load.running(10 * CAPACITY):
            time.sleep(seconds)
        end = time.monotonic() + 5.0
        while service.get("/readyz")[0] != 200:
            assert time.monotonic() < end
            time.sleep(0.05)
        grown = service.resident() / before - 1
        counts = Counter(status for status, _ in load.answers)
        record_property("answers", dict(counts))
        record_property("memory", round(grown, 3))
        report(f"{seconds:g} s: {dict(counts)}, memory {100 * grown:+.1f} %")
        assert load.broken == []
        assert set(counts) <= {200, 429, 503}
        assert counts[200] > 0
        assert all(int(wait or 0) > 0 for status, wait in load.answers if status != 200)
        assert grown <= 0.1


# A figure of time: only on a machine that does nothing else.
@pytest.mark.slow_only
def test_health_is_answered_at_once_under_64_clients(bundle: Path, picture: bytes) -> None:
    with serving(bundle, "--max-requests", "16") as service, Load(service, picture).running(64):
        time.sleep(1.0)
        found = []
        for _ in range(40):
            status, seconds = service.get("/livez")
            assert status == 200
            found.append(seconds)
            time.sleep(0.02)
        median, most = statistics.median(found), max(found)
        report(f"/livez under 64 clients: median {1000 * median:.0f} ms, longest {1000 * most:.0f} ms")
        assert median <= 0.1


def test_a_killed_decoder_costs_its_request_alone(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    Image.open(draw_tumour(tmp_path / "scan.png")).save(path, compression="tiff_lzw")
    with serving(bundle) as service:
        load, killed = Load(service, path.read_bytes(), "scan.tif"), 0
        with load.running(4):
            end = time.monotonic() + 6.0
            while killed < 3 and time.monotonic() < end:
                for pid in service.decoders()[:1]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                        killed += 1
                time.sleep(0.5)
            time.sleep(0.5)
        assert killed >= 3
        assert load.broken == []
        assert {status for status, _ in load.answers} == {200}
        assert service.process.poll() is None
        counts = _metrics(service)
        assert counts["refused"] <= killed
        assert counts["answered"] > 0


def _metrics(service: Service) -> dict[str, float]:
    connection = http.client.HTTPConnection(service.host, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    return {name: float(value) for name, value in re.findall(r'brainslice_scans_total\{outcome="(\w+)"\} (\S+)', text)}


@pytest.mark.parametrize("times", TIMES)
def test_sigterm_under_load_ends_in_bounded_time_and_answers_what_it_took(
    bundle: Path, picture: bytes, times: int
) -> None:
    for _ in range(times):
        with serving(bundle, "--max-requests", str(CAPACITY)) as service:
            load = Load(service, picture)
            with load.running(4 * CAPACITY):
                time.sleep(1.0)
                start = time.monotonic()
                service.process.send_signal(signal.SIGTERM)
                code = service.process.wait(30)
                seconds = time.monotonic() - start
            counts = Counter(status for status, _ in load.answers)
            report(f"ended after {seconds:.1f} s: {dict(counts)}, {Counter(load.broken)}")
            assert code == 0
            assert set(counts) <= {200, 429, 503}
            assert counts[503] > 0
            # Nothing listens any more when the process has ended; a connection of that moment may be reset.
            assert set(load.broken) <= {
                "ConnectionRefusedError",
                "ConnectionResetError",
                "RemoteDisconnected",
                "BrokenPipeError",
            }


def test_260_half_open_connections_fill_neither_the_descriptors_nor_the_log(bundle: Path) -> None:
    with serving(bundle, files=256) as service, contextlib.ExitStack() as opened:
        host, port = service.host.split(":")
        for _ in range(260):
            with contextlib.suppress(OSError):
                connection = opened.enter_context(socket.create_connection((host, int(port)), timeout=5))
                connection.sendall(b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: ")
        assert service.get("/livez")[0] == 200
        time.sleep(2.0)
        assert service.get("/readyz")[0] == 200
        assert os.fstat(service.log.fileno()).st_size < 20_000


@pytest.mark.parametrize("count", [200, pytest.param(100_000, marks=pytest.mark.slow_only)])
def test_mixed_requests_of_strangers_are_answered_by_their_kind(bundle: Path, picture: bytes, count: int) -> None:
    hosts = ("127.0.0.1", "evil.example", "", "[::1", "127.0.0.1:99999999")
    origins = (None, "http://evil.example", "null", "http://[", "http://127.0.0.1")
    sites = (None, "cross-site", "same-origin", "nonsense")
    paths = ("/livez", "/model", "/predict", "/volume/x/slices/1", "/%2e%2e/%00", "/explain?class=%F0%9F%92%A9")
    kinds = (None, "multipart/form-data; boundary=x", "multipart/form-data", "text/plain", "x" * 300)
    bodies = (b"", b"--x--\r\n", picture, b"\0" * 100)
    combinations = itertools.cycle(itertools.product(hosts, origins, sites, paths, kinds, bodies))
    with (
        serving(bundle) as service,
        contextlib.closing(http.client.HTTPConnection(service.host, timeout=30)) as connection,
    ):
        found: Counter[int] = Counter()
        # A step that shares no factor with the number of combinations comes by all of them.
        for host, origin, site, path, kind, body in itertools.islice(combinations, 0, 37 * count, 37):
            headers = {"Host": host, "Origin": origin, "Sec-Fetch-Site": site, "Content-Type": kind}
            known = {name: value for name, value in headers.items() if value is not None}
            try:
                connection.request("POST" if body else "GET", path, body or None, known)
                response = connection.getresponse()
                response.read()
                found[response.status] += 1
            except (OSError, http.client.HTTPException):
                connection.close()
        report(dict(found))
        assert sum(found.values()) >= 0.95 * count
        assert not [status for status in found if status >= 500]
        assert service.get("/readyz")[0] == 200
