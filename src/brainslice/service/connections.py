"""HTTP/1.1 connections with limits of number, size and time, on top of uvicorn's."""

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
    """What a connection is doing; each phase has a time after which the connection is cut off."""

    HEAD = "receives the headers of a request"
    EXCHANGE = "receives a body, works, or sends a response"
    IDLE = "sends the rest of a response, or waits for the next request"


class LimitedProtocol(H11Protocol):
    """One connection.

    uvicorn itself has no limit for the time until the headers are complete, and none for a client that does not read
    its response; it answers every malformed request with 400.
    """

    limits = Limits()

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as uvicorn's
        """Start without a client."""
        super().__init__(*arguments, **options)
        self.phase = Phase.HEAD
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection; where there are too many, close the oldest that sends no request, or else this one."""
        super().connection_made(cast(asyncio.Transport, transport))
        self._enter(Phase.HEAD)
        if len(self.connections) > self.limits.connections:
            others = [each for each in self.connections if isinstance(each, LimitedProtocol) and each is not self]
            waiting = [each for each in others if each.phase is not Phase.EXCHANGE]
            if waiting:
                min(waiting, key=lambda each: each.began).abort()
            else:
                self._refuse(ProblemError(ErrorCode.FULL, "too many connections; ask again in a moment"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Take what the client sends."""
        super().data_received(data)
        self._update_phase()

    def on_response_complete(self) -> None:
        """Wait for the next request, or begin with one that has arrived already."""
        self._enter(Phase.IDLE)
        super().on_response_complete()
        self._update_phase()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - as its class calls it
        """Answer a malformed request; one whose head is too large with 414 or 431."""
        error = sys.exc_info()[1]
        if isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == ErrorCode.HEADERS_TOO_LARGE.status:
            in_url = b"\n" not in self.conn.trailing_data[0]
            self._refuse(url_too_long(self.limits) if in_url else headers_too_large(self.limits))
        else:
            self._refuse(ProblemError(ErrorCode.BAD_UPLOAD, "the request must be HTTP/1.1, got something else"))

    def abort(self) -> None:
        """Cut the connection off; what is not sent yet is dropped."""
        # At once: the loss is announced later, and until then this one would be chosen to make room again.
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
        self._cut_after(seconds)
        self.phase, self.began = phase, self.loop.time()

    def _cut_after(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self.abort)

    def _refuse(self, problem: ProblemError) -> None:
        """Answer without the application, and close."""
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
        # What still arrives is not parsed, but read for a moment, so that the response is not lost in a reset.
        self.transport.set_protocol(_Discard(self.transport, self))


class _Discard(asyncio.Protocol):
    """Reads what a refused client still sends, until it closes or a moment has passed."""

    def __init__(self, transport: asyncio.Transport, refused: LimitedProtocol) -> None:
        self._refused = refused
        self._timer = refused.loop.call_later(_REFUSAL_SECONDS, transport.abort)
        if transport.can_write_eof():
            transport.write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._refused.connection_lost(exc)
