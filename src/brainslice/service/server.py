"""A service from its start to its orderly end."""

from __future__ import annotations

import logging
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Final

import uvicorn

from brainslice.errors import UsageError
from brainslice.inference.predictor import Predictor
from brainslice.service.app import create_app
from brainslice.service.context import ServiceContext
from brainslice.service.settings import Settings

_BACKLOG: Final = 128


def run_server(predictor: Predictor, settings: Settings, told: Callable[[str], None]) -> None:
    """Serve until the process is told to end (SIGTERM or an interrupt), then end in order.

    From that moment ``/readyz`` says so and no new work is taken; what is in work is finished. A second signal
    ends at once.

    Args:
        predictor: What answers for scans.
        settings: Where it listens, who may ask, how much it takes on.
        told: Told the address once it listens.

    Raises:
        UsageError: The address cannot be listened to.
        BundleError: An optional file of the bundle is not what its name promises.
    """
    app = create_app(predictor, settings)
    _log_to_stderr()
    with _listening(settings) as listener:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,  # it would write down what was asked for
            server_header=False,
            proxy_headers=False,
            ws="none",
            http="h11",
            timeout_graceful_shutdown=max(1, round(settings.drain_seconds)),
        )
        begun = partial(told, _address(settings.host, listener))
        Server(config, app.state.service, begun).run(sockets=[listener])


class Server(uvicorn.Server):
    """A server that says that it is ending before it ends, and whose orderly end is no failure."""

    def __init__(self, config: uvicorn.Config, service: ServiceContext, begun: Callable[[], None]) -> None:
        """Serve an application.

        Args:
            config: How it is served.
            service: Whose work is waited for.
            begun: Called when requests are answered and signals heard.
        """
        super().__init__(config)
        self._service = service
        self._begun = begun
        self._told_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and tell."""
        await super().startup(sockets)
        self._begun()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as its class calls it
        """Begin to end; at the second signal, end."""
        if self._told_at is None:
            self._told_at = time.monotonic()
            self._service.concurrency_limit.draining = True
        else:
            self.should_exit = self.force_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Look ten times a second whether what was in work is done."""
        if self._told_at is not None:
            waited = time.monotonic() - self._told_at
            done = not self._service.concurrency_limit.requests and waited >= self._service.settings.linger_seconds
            self.should_exit = self.should_exit or done or waited >= self._service.settings.drain_seconds
        return await super().on_tick(counter)


def _listening(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = error.strerror or str(error)
        msg = f"{settings.host}:{settings.port}: cannot be listened to ({reason}); choose another --port or --host"
        raise UsageError(msg) from error


def _address(host: str, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _log_to_stderr() -> None:
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for name, level in (("brainslice.service", logging.INFO), ("uvicorn", logging.WARNING)):
        log = logging.getLogger(name)
        log.handlers, log.propagate = [lines], False
        log.setLevel(level)
