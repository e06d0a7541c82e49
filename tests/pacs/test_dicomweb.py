from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from brainslice.errors import DownloadError, UsageError

pytest.importorskip("highdicom", reason="needs the extra brainslice[pacs]")
pytest.importorskip("dicomweb_client", reason="needs the extra brainslice[pacs]")


class Server(ThreadingHTTPServer):
    """Answers with these statuses in turn, then with an empty list; keeps what it was asked."""

    statuses: list[int]
    asked: list[str]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.headers.get('Authorization')} {self.path}")
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        self.send_response(status)
        self.send_header("Content-Type", "application/dicom+json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server(("127.0.0.1", 0), Handler)
    running.statuses, running.asked = [], []
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def address(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}/dicom-web"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("pacs.example", "must begin with https://"),
        ("ftp://pacs.example", "must begin with https://"),
        ("https://reader:secret@pacs.example", "must hold no credentials"),
        ("http://pacs.example/dicom-web", "unless the PACS is on this machine"),
    ],
)
def test_an_address_without_encryption_or_with_credentials_is_refused(url: str, reason: str) -> None:
    from brainslice.pacs.dicomweb import DicomWebArchive

    with pytest.raises(UsageError, match=reason) as caught:
        DicomWebArchive(url)
    assert "secret" not in str(caught.value)


def test_a_busy_archive_is_asked_again(server: Server) -> None:
    from brainslice.pacs.dicomweb import DicomWebArchive

    server.statuses = [503, 429]
    assert not list(DicomWebArchive(address(server)).studies({"StudyDate": "20250301-"}))
    assert len(server.asked) == 3
    assert "ModalitiesInStudy=MR" in server.asked[-1]
    assert "StudyDate=20250301-" in server.asked[-1]


@pytest.mark.parametrize(
    ("status", "reason"), [(401, "status 401; check the credentials"), (404, "status 404; check the address")]
)
def test_a_refusal_is_one_line(status: int, reason: str, server: Server) -> None:
    from brainslice.pacs.dicomweb import DicomWebArchive

    server.statuses = [status]
    with pytest.raises(DownloadError, match=reason):
        DicomWebArchive(address(server)).holds_series("1.2", "1.2.3")


def test_an_archive_that_is_not_there_is_one_line() -> None:
    from brainslice.pacs.dicomweb import DicomWebArchive
    from orthanc import free_port

    archive = DicomWebArchive(f"http://127.0.0.1:{free_port()}/dicom-web", attempts=1)
    with pytest.raises(DownloadError, match="cannot be reached"):
        list(archive.studies({}))


@pytest.mark.parametrize(
    ("credentials", "header"),
    [("", "None"), ("a-token", "Bearer a-token"), ("me:secret", "Basic bWU6c2VjcmV0")],
)
def test_credentials_are_a_token_or_a_user_with_a_password(credentials: str, header: str, server: Server) -> None:
    from brainslice.pacs.dicomweb import DicomWebArchive

    DicomWebArchive(address(server), credentials).holds_series("1.2", "1.2.3")
    assert server.asked[0].startswith(f"{header} /")


def test_credentials_come_from_a_file_or_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from brainslice.pacs.dicomweb import CREDENTIALS, read_credentials

    monkeypatch.setenv(CREDENTIALS, "a-token")
    assert read_credentials(None) == "a-token"
    (tmp_path / "secret").write_text("reader:secret\n")
    assert read_credentials(tmp_path / "secret") == "reader:secret"
    with pytest.raises(UsageError, match="cannot be read"):
        read_credentials(tmp_path / "missing")
