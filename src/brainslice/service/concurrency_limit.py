"""How many requests may be in work at one time, and how much memory their uploads may fill."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

from brainslice.service.problems import ErrorCode, ProblemError
from brainslice.service.settings import Limits

Answer = TypeVar("Answer")


class ConcurrencyLimit:
    """Counts what is in work. Health probes do not pass here, so they are answered however busy the service is.

    Attributes:
        draining: Whether the service is ending and takes no more work.
        requests: How many requests are in work or wait.
        held_bytes: How many bytes of uploads they hold.
    """

    def __init__(self, limits: Limits) -> None:
        """Start with nothing in work."""
        self.draining = False
        self.requests = 0
        self.held_bytes = 0
        self._limits = limits
        # Bytes are counted by the threads that unpack, too.
        self._lock = threading.Lock()

    def enter(self) -> RequestSlot:
        """Let one more request in.

        Raises:
            ProblemError: The service is ending, or has as much to do as it may.
        """
        if self.draining:
            raise ProblemError(ErrorCode.DRAINING, "the service is ending; ask again when it is back")
        if self.requests >= self._limits.requests:
            detail = f"{self.requests} requests are in work, which is as many as may be; ask again in a moment"
            raise ProblemError(ErrorCode.BUSY, detail)
        with self._lock:
            self.requests += 1
        return RequestSlot(self, self._limits)

    def hold(self, count: int) -> None:
        """Count bytes that are about to be kept.

        Raises:
            ProblemError: There is no room for them.
        """
        with self._lock:
            if self.held_bytes + count > self._limits.memory_bytes:
                raise ProblemError(ErrorCode.NO_ROOM, "other uploads fill the memory set aside; ask again in a moment")
            self.held_bytes += count

    def release(self, count: int) -> None:
        """Let one request and its bytes go."""
        with self._lock:
            self.requests -= 1
            self.held_bytes -= count


class RequestSlot:
    """One request's place, until ``leave``."""

    def __init__(self, admission: ConcurrencyLimit, limits: Limits) -> None:
        """Belong to a request that was let in."""
        self._admission = admission
        self._limits = limits
        self._bytes = 0
        self._left = False

    def hold(self, count: int) -> None:
        """Set memory aside for bytes that arrive.

        Raises:
            ProblemError: The request is larger than one may be, or all requests together are.
        """
        if self._bytes + count > self._limits.request_bytes:
            detail = f"a request must hold at most {self._limits.request_bytes:,} bytes, got more; send fewer files"
            raise ProblemError(ErrorCode.TOO_LARGE, detail)
        self._admission.hold(count)
        self._bytes += count

    def leave(self) -> None:
        """Give place and memory back; a second time does nothing."""
        if not self._left:
            self._left = True
            self._admission.release(self._bytes)


async def within(seconds: float, ticket: RequestSlot, work: Coroutine[Any, Any, Answer]) -> Answer:
    """Wait for an answer, but not for ever.

    A thread that is at work cannot be stopped. So the request keeps its place and its memory until the work
    has really ended, even when nobody waits for it any more: what is counted is what is there.

    Args:
        seconds: How long to wait.
        ticket: The request's place; given back when the work ends.
        work: What makes the answer.

    Raises:
        ProblemError: It takes too long.
    """
    task = asyncio.create_task(work)
    task.add_done_callback(lambda done: _settle(done, ticket))
    try:
        return await asyncio.wait_for(asyncio.shield(task), seconds)
    except TimeoutError as error:
        if task.done() and not task.cancelled() and task.exception() is error:
            raise
        detail = f"the answer took more than {seconds:g} seconds; send fewer or smaller files, or ask again later"
        raise ProblemError(ErrorCode.OUT_OF_TIME, detail) from None


def _settle(done: asyncio.Task[Any], ticket: RequestSlot) -> None:
    ticket.leave()
    # Looked at, so that asyncio does not log an exception that nobody waits for: it may name a file.
    if not done.cancelled():
        done.exception()


async def in_time(seconds: float, awaited: Awaitable[Answer], late: ProblemError) -> Answer:
    """Wait for what can be stopped, and raise ``late`` when it does not come.

    Raises:
        ProblemError: ``late``.
    """
    try:
        return await asyncio.wait_for(awaited, seconds)
    except TimeoutError:
        raise late from None
