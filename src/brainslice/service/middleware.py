"""What surrounds every answer: a count, one line in the log, safe headers, and no fault that shows itself."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from brainslice.service.metrics import Metrics
from brainslice.service.problems import ErrorCode, ProblemError, problem_response

LOG: Final = logging.getLogger("brainslice.service")
"""One line a request: method, route, status, time. Names, addresses, parameters and pixels never."""

HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""What every answer carries, unless it says otherwise itself."""

_KNOWN_METHODS: Final = frozenset({"GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"})
_SMALLEST_FAULT: Final = 400
_PATIENT_BYTES: Final = 64 << 20
_PATIENT_SECONDS: Final = 5.0


class LoggingMiddleware:
    """The outermost of all: it sees each request come and each answer go."""

    def __init__(self, app: ASGIApp, metrics: Metrics, page: frozenset[str]) -> None:
        """Surround an application.

        Args:
            app: What answers.
            metrics: What counts.
            page: Addresses of the page's own files, which are counted as one.
        """
        self._app = app
        self._metrics = metrics
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and see to its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        answer = _Answer(scope, receive, send)
        try:
            await self._app(scope, answer.receive, answer.send)
        except Exception as error:  # noqa: BLE001 - the last door: nothing of a fault may reach the outside
            LOG.error("%s", _place_of(error))  # noqa: TRY400 - a traceback would quote what must not be logged
            if not answer.status:
                problem = ProblemError(ErrorCode.BROKEN, "a fault of this service; look at its log, and report it")
                await problem_response(problem)(scope, answer.receive, answer.send)
        finally:
            self._tell(scope, answer.status, time.perf_counter() - began)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _KNOWN_METHODS else "other"
        route = "page" if scope["path"] in self._page else getattr(scope.get("route"), "path", "unmatched")
        self._metrics.count(method, route, status, seconds)
        LOG.info("%s %s %d %.0f ms", method, route, status, 1000 * seconds)


class _Answer:
    """The way of one answer out."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.status = 0
        self._receive = receive
        self._send = send
        headers = Headers(scope=scope)
        self._all_came = "content-length" not in headers and "transfer-encoding" not in headers
        # Who asked before sending has not sent, and need not be listened to.
        self._asked_first = "expect" in headers
        self._any_came = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._any_came = True
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._all_came = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            _add(message, HEADERS)
            if self.status >= _SMALLEST_FAULT and not self._all_came and (self._any_came or not self._asked_first):
                await self._hear_out()
        await self._send(message)

    async def _hear_out(self) -> None:
        """Read on for a while: who is cut off in mid-sentence sees a broken connection, and no answer."""
        heard = 0
        try:
            async with asyncio.timeout(_PATIENT_SECONDS):
                while not self._all_came and heard < _PATIENT_BYTES:
                    heard += len((await self.receive()).get("body", b""))
        except TimeoutError:
            return


def _add(message: Message, defaults: Mapping[str, str]) -> None:
    headers = MutableHeaders(raw=message.setdefault("headers", []))
    for name, value in defaults.items():
        headers.setdefault(name, value)


def _place_of(error: Exception) -> str:
    """Name a fault by its type and place; its words might hold a file's name."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-4:]]
    return f"{type(error).__name__} at {' > '.join(places)}"
