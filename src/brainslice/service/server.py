"""The server process, with graceful shutdown within a time limit."""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import FrameType
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from brainslice.errors import UsageError
from brainslice.inference import Predictor
from brainslice.service.app import create_app
from brainslice.service.connections import LimitedProtocol
from brainslice.service.context import ServiceContext
from brainslice.service.middleware import LOG
from brainslice.service.settings import Limits, Settings

_BACKLOG: Final = 64
_OTHER_FILES: Final = 128
_MIN_CONNECTIONS: Final = 16
_SEND_SECONDS: Final = 3
_LOGGED_SECONDS: Final = 10.0


def run_server(predictor: Predictor, settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or an interrupt, then shut down gracefully.

    After the signal ``/readyz`` and new requests get 503, and running requests may finish; after ``drain_seconds``
    they get 503, too. A second signal stops at once.

    Args:
        predictor: The predictor.
        settings: The settings.
        announce: Called with the URL once the service listens.

    Raises:
        UsageError: The address is not available.
        BundleError: An optional file of the bundle is invalid.
    """
    app = create_app(predictor, settings)
    _log_to_stderr()
    with _listening(settings) as listener:
        started = partial(announce, _address(settings.host, listener))
        Server(server_config(app, settings.limits), app.state.service, started).run(sockets=[listener])
    _exit_despite_threads(app.state.service)


def server_config(app: ASGIApp, limits: Limits) -> uvicorn.Config:
    """Return the uvicorn configuration."""
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # it would log URLs
        server_header=False,
        proxy_headers=False,
        ws="none",
        http=_protocol(limits),
        h11_max_incomplete_event_size=limits.header_bytes,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_SEND_SECONDS,
    )


class Server(uvicorn.Server):
    """A uvicorn server with graceful shutdown and exit code 0."""

    def __init__(self, config: uvicorn.Config, service: ServiceContext, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._service = service
        self._started = started
        self._signalled_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve."""
        await super().startup(sockets)
        self._started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as its class calls it
        """Start the shutdown; at the second signal, stop."""
        if self._signalled_at is None:
            self._signalled_at = time.monotonic()
            self._service.concurrency_limit.draining = True
        else:
            self.should_exit = self.force_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Stop once running requests have ended; called ten times a second."""
        if self._signalled_at is not None:
            waited = time.monotonic() - self._signalled_at
            done = not self._service.concurrency_limit.requests and waited >= self._service.settings.linger_seconds
            self.should_exit = self.should_exit or done or waited >= self._service.settings.drain_seconds
        return await super().on_tick(counter)


def _protocol(limits: Limits) -> type[LimitedProtocol]:
    """Make the class of connections, limited by the number of file descriptors."""
    connections = min(limits.connections, max(_MIN_CONNECTIONS, _file_descriptors() - _BACKLOG - _OTHER_FILES))
    return type("Protocol", (LimitedProtocol,), {"limits": replace(limits, connections=connections)})


def _file_descriptors() -> int:
    if sys.platform == "win32":
        return sys.maxsize
    import resource  # noqa: PLC0415 - not on every system

    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if most == resource.RLIM_INFINITY else most


def _listening(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = error.strerror or str(error)
        msg = f"{settings.host}:{settings.port}: cannot listen ({reason}); choose another --port or --host"
        raise UsageError(msg) from error
    # Connections inherit it. Head and body of a response are two packets: the second would wait until the client has
    # acknowledged the first, which takes it up to 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _address(host: str, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _exit_despite_threads(service: ServiceContext) -> None:
    """Exit if threads hang, for which the interpreter would wait."""
    if service.worker.busy:
        LOG.error("%d threads did not end in time; exiting without them", service.worker.busy)
        logging.shutdown()
        os._exit(0)


class RateLimit(logging.Filter):
    """Log each message at most once in ten seconds, without traceback."""

    def __init__(self) -> None:
        super().__init__()
        self._logged: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is logged."""
        now, text = time.monotonic(), str(record.msg).split("\n", 1)[0]
        if now - self._logged.get(text, -_LOGGED_SECONDS) < _LOGGED_SECONDS:
            return False
        self._logged[text] = now
        record.msg, record.args = record.getMessage().split("\n", 1)[0], ()
        record.exc_info = record.exc_text = record.stack_info = None
        return True


def _log_to_stderr() -> None:
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    for name, level in (("brainslice.service", logging.INFO), ("uvicorn", logging.WARNING), ("asyncio", logging.ERROR)):
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(formatter)
        if name != "brainslice.service":
            handler.addFilter(RateLimit())
        log = logging.getLogger(name)
        log.handlers, log.propagate = [handler], False
        log.setLevel(level)
