"""A real PACS for tests: Debian's Orthanc with its DICOMweb plug-in, on loopback, with a temporary folder."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
PLUGINS = sorted(Path("/usr/share/orthanc/plugins").glob("libOrthancDicomWeb.so"))
TITLE = "ORTHANC"


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc: its ports, and the user it asks for."""

    http_port: int
    dicom_port: int
    credentials: str

    @property
    def dicomweb(self) -> str:
        """The address of its DICOMweb service."""
        return f"http://127.0.0.1:{self.http_port}/dicom-web"

    def call(self, path: str, data: bytes | None = None) -> Any:  # noqa: ANN401 - any JSON value
        """Call its own interface, and give the JSON that it answers."""
        manager = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        user, _, password = self.credentials.partition(":")
        manager.add_password(None, f"http://127.0.0.1:{self.http_port}", user, password)
        opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(manager))
        with opener.open(f"http://127.0.0.1:{self.http_port}{path}", data, timeout=10) as answer:
            body = answer.read()
        return json.loads(body) if body[:1] in b'[{"' else body

    def add(self, folder: Path) -> None:
        """Put the files of a folder into it."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.call("/instances", path.read_bytes())

    def find(self, level: str, **query: str) -> list[dict[str, Any]]:
        """Find studies, series or instances by DICOM attributes."""
        asked = {"Level": level, "Expand": True, "Query": {"StudyInstanceUID": ""} | query}
        return list(self.call("/tools/find", json.dumps(asked).encode()))

    def file(self, identifier: str) -> bytes:
        """The DICOM file of an object."""
        return bytes(self.call(f"/instances/{identifier}/file"))


@contextlib.contextmanager
def running(folder: Path, peers: dict[str, int]) -> Iterator[Orthanc]:
    """Run an Orthanc that knows other DICOM applications of this machine by title and port."""
    if PROGRAM is None or not PLUGINS:
        msg = "needs orthanc and orthanc-dicomweb, which are not installed"
        raise FileNotFoundError(msg)
    server = Orthanc(free_port(), free_port(), "reader:not-a-secret")
    settings = {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [str(PLUGINS[0])],
        "HttpPort": server.http_port,
        "DicomPort": server.dicom_port,
        "DicomAet": TITLE,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": dict([server.credentials.split(":")]),
        "DicomModalities": {name: [name, "127.0.0.1", port] for name, port in peers.items()},
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "StableAge": 1,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "orthanc.json").write_text(json.dumps(settings), encoding="utf-8")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, folder / "orthanc.json"], stdout=log, stderr=log)
        try:
            _wait(server, process, folder / "log")
            yield server
        finally:
            # Its folder is temporary, so it need not close its database, which takes three seconds.
            process.kill()
            process.wait(30)


def _wait(server: Orthanc, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            server.call("/system")
            return
        time.sleep(0.1)
    raise RuntimeError(log.read_text(errors="replace")[-2000:])
