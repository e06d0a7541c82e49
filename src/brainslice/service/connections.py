"""HTTP/1.1 connections of uvicorn with limits of number, size and time."""

from __future__ import annotations

import asyncio
import sys
from enum import Enum
from typing import Any, Final, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from brainslice.service.middleware import headers_too_large, url_too_long
from brainslice.service.problems import ErrorCode, ProblemError, problem_response
from brainslice.service.settings import Limits

_REFUSAL_SECONDS: Final = 2.0


class Phase(Enum):
    """The phases of a connection, each with a time limit."""

    HEAD = "receives the headers of a request"
    EXCHANGE = "receives a body, predicts, or sends a response"
    IDLE = "sends the rest of a response, or waits for the next request"


class LimitedProtocol(H11Protocol):
    """A connection.

    uvicorn has no time limit for headers, nor for a client that does not read its response, and answers every
    malformed request with 400.
    """

    limits = Limits()

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as uvicorn's
        super().__init__(*arguments, **options)
        self.phase = Phase.HEAD
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept a connection; beyond the limit, close the oldest idle one, or else this one."""
        super().connection_made(cast(asyncio.Transport, transport))
        self._enter(Phase.HEAD)
        if len(self.connections) > self.limits.connections:
            others = [each for each in self.connections if isinstance(each, LimitedProtocol) and each is not self]
            waiting = [each for each in others if each.phase is not Phase.EXCHANGE]
            if waiting:
                min(waiting, key=lambda each: each.began).abort()
            else:
                self._refuse(ProblemError(ErrorCode.FULL, "too many connections; try again in a moment"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timer."""
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Parse received data."""
        super().data_received(data)
        self._update_phase()

    def on_response_complete(self) -> None:
        """Start the next phase."""
        self._enter(Phase.IDLE)
        super().on_response_complete()
        self._update_phase()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - as its class calls it
        """Answer a malformed request, with 414 or 431 if URL or headers are too long."""
        error = sys.exc_info()[1]
        if isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == ErrorCode.HEADERS_TOO_LARGE.status:
            in_url = b"\n" not in self.conn.trailing_data[0]
            self._refuse(url_too_long(self.limits) if in_url else headers_too_large(self.limits))
        else:
            self._refuse(ProblemError(ErrorCode.BAD_UPLOAD, "the request must be HTTP/1.1, got something else"))

    def abort(self) -> None:
        """Close the connection without sending the rest."""
        # Removed at once, since ``connection_lost`` is called later.
        self.connections.discard(self)
        self.transport.abort()

    def _update_phase(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            phase = Phase.EXCHANGE
        elif self.phase is Phase.EXCHANGE or (self.phase is Phase.IDLE and not self.conn.trailing_data[0]):
            phase = Phase.IDLE
        else:
            phase = Phase.HEAD
        if phase is not self.phase:
            self._enter(phase)

    def _enter(self, phase: Phase) -> None:
        limits = self.limits
        exchange = limits.upload_seconds + limits.answer_seconds + limits.send_seconds
        seconds = {Phase.HEAD: limits.header_seconds, Phase.EXCHANGE: exchange, Phase.IDLE: limits.send_seconds}[phase]
        self._set_timer(seconds)
        self.phase, self.began = phase, self.loop.time()

    def _set_timer(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self.abort)

    def _refuse(self, problem: ProblemError) -> None:
        """Send a problem without the application, and close."""
        if self.cycle is not None and not self.cycle.response_complete:
            if self.cycle.response_started:
                self.abort()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        response = problem_response(problem, {"Connection": "close"})
        head = [f"HTTP/1.1 {response.status_code} {problem.phrase}".encode()]
        head += [name + b": " + value for name, value in response.raw_headers]
        self.transport.write(b"\r\n".join(head) + b"\r\n\r\n" + bytes(response.body))
        # Read a moment longer without parsing, so that a connection reset does not lose the response.
        self.transport.set_protocol(_Discard(self.transport, self))


class _Discard(asyncio.Protocol):
    """Discard received data until the client closes or a moment has passed."""

    def __init__(self, transport: asyncio.Transport, refused: LimitedProtocol) -> None:
        self._refused = refused
        self._timer = refused.loop.call_later(_REFUSAL_SECONDS, transport.abort)
        if transport.can_write_eof():
            transport.write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._refused.connection_lost(exc)
