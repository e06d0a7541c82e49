"""Settings of a service: where it listens, who may ask, and how much it takes on."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Final

from brainslice.errors import UsageError

MEBIBYTE: Final = 1 << 20

SHORTEST_TOKEN: Final = 16
"""Shorter tokens could be guessed."""

_LARGEST_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a service takes on at one time, and for how long.

    Attributes:
        files: Files in one request.
        file_bytes: Bytes of one file.
        request_bytes: Bytes of one request, and of all that an archive in it holds.
        memory_bytes: Bytes of all uploads together that are in work.
        upload_seconds: How long an upload may take to arrive.
        stall_seconds: How long it may take before it must arrive at ``upload_rate``.
        upload_rate: Bytes a second that an upload must make after that.
        answer_seconds: How long an answer may take after the upload; its work ends then as well.
        requests: Requests in work or waiting at one time.
        connections: Connections at one time; beyond that the oldest that sends no request is closed.
        header_seconds: How long a connection may take to send the headers of a request.
        send_seconds: How long a client may take to receive a response.
        url_bytes: Bytes of a URL.
        header_bytes: Bytes of the URL and all headers together.
        study_files: Files of one study, as one request or an archive holds them.
        studies: Studies kept for looking at their slices.
        study_bytes: Bytes of all those studies together.
        study_seconds: How long a study is kept after it was last looked at.
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
        """Refuse limits under which nothing could be answered."""
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
    """How scans of requests that come together share a run of the network.

    Attributes:
        size: The most scans in one run; 1 runs each by itself.
        wait_seconds: How long the first scan waits for others.
        threads: Threads that decode scans.
    """

    size: int = 16
    wait_seconds: float = 0.004
    threads: int = 2

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if self.size < 1 or self.threads < 1 or not 0.0 <= self.wait_seconds <= 1.0:
            got = f"{self.size}, {self.threads} and {self.wait_seconds}"
            msg = f"batch size and threads must be at least 1 and the wait 0 to 1 seconds, got {got}"
            raise UsageError(msg)


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a service.

    Attributes:
        host: The address it listens on.
        port: The port it listens on.
        token: The bearer token of requests; None where loopback addresses need none.
        hosts: Names, besides loopback ones, by which the service may be called.
        limits: How much it takes on.
        batching: How scans share a run of the network.
        drain_seconds: How long running requests may take after SIGTERM.
        linger_seconds: How long new requests are answered with 503 before the service stops listening.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    batching: Batching = field(default_factory=Batching)
    drain_seconds: float = 20.0
    linger_seconds: float = 0.5

    def __post_init__(self) -> None:
        """Refuse to listen to a network without a token, and tokens that could be guessed."""
        if not 0 <= self.port <= _LARGEST_PORT:
            msg = f"port must be 0 to {_LARGEST_PORT}, got {self.port}"
            raise UsageError(msg)
        if self.token is None and not self.on_loopback:
            msg = (
                f"host {self.host!r} can be reached from other machines, so requests must bear a token; "
                "put one into a file and give --token-file, or set BRAINSLICE_TOKEN"
            )
            raise UsageError(msg)
        if self.token is not None and not _is_token(self.token):
            msg = f"a token must be {SHORTEST_TOKEN} or more ASCII characters without spaces; take a longer one"
            raise UsageError(msg)

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Return whether a name or address, without port, means this machine and no other."""
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_token(token: str) -> bool:
    return len(token) >= SHORTEST_TOKEN and all("!" <= letter <= "~" for letter in token)
