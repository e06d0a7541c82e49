"""Settings of the service: address, authorization, limits and batching."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, field
from typing import Final

from brainslice.errors import UsageError

MEBIBYTE: Final = 1 << 20

MIN_TOKEN_LENGTH: Final = 16
"""The minimum length of a token."""

_MAX_PORT: Final = 65_535
_ORIGIN: Final = re.compile(r"https?://[a-z0-9._-]+(:\d+)?")


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of size, number and time.

    Attributes:
        files: Files in a request.
        file_bytes: Bytes of a file.
        request_bytes: Bytes of a request, with extracted archives.
        memory_bytes: Bytes of all uploads together.
        upload_seconds: Seconds of an upload.
        stall_seconds: Seconds before an upload must reach ``upload_rate``.
        upload_rate: Minimum bytes a second of an upload.
        answer_seconds: Seconds of a prediction after the upload.
        requests: Requests running or waiting.
        connections: Connections; beyond that the oldest idle one is closed.
        header_seconds: Seconds until the headers of a request are complete.
        send_seconds: Seconds to send a response.
        url_bytes: Bytes of a URL.
        header_bytes: Bytes of URL and headers together.
        study_files: Files of a study, in a request or an archive.
        studies: Studies kept for their viewers.
        study_bytes: Bytes of these studies together.
        study_seconds: Seconds a study is kept after its last use.
    """

    files: int = 256
    file_bytes: int = 128 * MEBIBYTE
    request_bytes: int = 256 * MEBIBYTE
    memory_bytes: int = 512 * MEBIBYTE
    upload_seconds: float = 120.0
    stall_seconds: float = 15.0
    upload_rate: int = 4096
    answer_seconds: float = 60.0
    requests: int = 32
    connections: int = 512
    header_seconds: float = 10.0
    send_seconds: float = 60.0
    url_bytes: int = 8192
    header_bytes: int = 32_768
    study_files: int = 2048
    studies: int = 4
    study_bytes: int = 1024 * MEBIBYTE
    study_seconds: float = 900.0

    def __post_init__(self) -> None:
        for name in ("files", "file_bytes", "request_bytes", "memory_bytes", "requests", "connections"):
            if getattr(self, name) < 1:
                msg = f"{name.replace('_', ' ')} must be at least 1, got {getattr(self, name)}"
                raise UsageError(msg)
        for name in ("upload_seconds", "answer_seconds", "header_seconds", "send_seconds"):
            if not getattr(self, name) > 0:
                msg = f"{name.replace('_', ' ')} must be above 0, got {getattr(self, name)}"
                raise UsageError(msg)


@dataclass(frozen=True, slots=True)
class Batching:
    """Batching of concurrent requests.

    Attributes:
        size: The maximum batch size.
        batches: Batches that run at the same time.
        threads: Threads that decode scans.
    """

    size: int = 8
    batches: int = field(default_factory=lambda: os.cpu_count() or 1)
    threads: int = 2

    def __post_init__(self) -> None:
        if min(self.size, self.batches, self.threads) < 1:
            got = f"{self.size}, {self.batches} and {self.threads}"
            msg = f"batch size, batches and threads must be at least 1, got {got}"
            raise UsageError(msg)


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a service.

    Attributes:
        host: The address to listen on.
        port: The port to listen on.
        token: The bearer token of requests; optional on loopback addresses.
        hosts: Host names besides those of loopback.
        origins: Other sites whose pages may use the service, such as ``https://viewer.example.org``.
        limits: The limits.
        batching: The batching.
        drain_seconds: Seconds for running requests after SIGTERM.
        linger_seconds: Seconds in which new requests get 503 before the service stops listening.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    batching: Batching = field(default_factory=Batching)
    drain_seconds: float = 20.0
    linger_seconds: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.port <= _MAX_PORT:
            msg = f"port must be 0 to {_MAX_PORT}, got {self.port}"
            raise UsageError(msg)
        if self.token is None and not self.on_loopback:
            msg = (
                f"host {self.host!r} is reachable from other machines, so requests need a token; "
                "write one to a file and give --token-file, or set BRAINSLICE_TOKEN"
            )
            raise UsageError(msg)
        for origin in self.origins:
            if not _ORIGIN.fullmatch(origin):
                msg = f"an origin must be a scheme, a host and perhaps a port, like https://host:8443, got {origin!r}"
                raise UsageError(msg)
        if self.token is not None and not _is_token(self.token):
            msg = f"a token must be {MIN_TOKEN_LENGTH} or more ASCII characters without spaces; choose a longer one"
            raise UsageError(msg)

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine reaches the service."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is a loopback one."""
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_token(token: str) -> bool:
    return len(token) >= MIN_TOKEN_LENGTH and all("!" <= letter <= "~" for letter in token)
