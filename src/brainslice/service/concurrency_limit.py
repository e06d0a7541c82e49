"""How many requests may be in work at one time, how much memory their uploads may fill, and for how long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from brainslice.deadline import check_deadline, time_limit
from brainslice.service.problems import ErrorCode, ProblemError
from brainslice.service.settings import Limits

Answer = TypeVar("Answer")


class ConcurrencyLimit:
    """Counts what is in work; probes are not counted.

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

    @property
    def full(self) -> bool:
        """Whether the next request would be refused as one too many."""
        return self.requests >= self._limits.requests

    def enter(self) -> RequestSlot:
        """Let one more request in.

        Raises:
            ProblemError: The service is ending, or as many requests are in work as may be.
        """
        if self.draining:
            raise ProblemError(ErrorCode.DRAINING, "the service is ending; ask again when it is back")
        if self.full:
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
    """One request's slot, until ``leave``."""

    def __init__(self, limit: ConcurrencyLimit, limits: Limits) -> None:
        """Belong to a request that was let in."""
        self._limit = limit
        self._limits = limits
        self._bytes = 0
        self._left = False

    def hold(self, count: int) -> None:
        """Set memory aside for bytes that arrive or are unpacked.

        Raises:
            ProblemError: The request is larger than one may be, or all requests together are.
            TimeLimitError: The deadline of the request has passed.
        """
        check_deadline()
        if self._bytes + count > self._limits.request_bytes:
            detail = f"a request must hold at most {self._limits.request_bytes:,} bytes, got more; send fewer files"
            raise ProblemError(ErrorCode.TOO_LARGE, detail)
        self._limit.hold(count)
        self._bytes += count

    def leave(self) -> None:
        """Give slot and memory back; a second time does nothing."""
        if not self._left:
            self._left = True
            self._limit.release(self._bytes)


async def within(seconds: float, slot: RequestSlot, work: Coroutine[Any, Any, Answer]) -> Answer:
    """Wait for an answer until its deadline, at which the work itself ends as well.

    Work in threads notices the deadline at its next file, slice or batch. Until then the request keeps its slot
    and its memory, even when nobody waits for it any more: what is counted is what is there.

    Args:
        seconds: How long to wait.
        slot: The request's slot; given back when the work ends.
        work: What makes the answer.

    Raises:
        ProblemError: It takes too long.
    """
    with time_limit(seconds):
        task = asyncio.create_task(work)
    task.add_done_callback(lambda done: _settle(done, slot))
    try:
        return await asyncio.wait_for(asyncio.shield(task), seconds)
    except TimeoutError as error:
        if task.done() and not task.cancelled() and task.exception() is error:
            raise
        detail = f"the answer took more than {seconds:g} seconds; send fewer or smaller files, or ask again later"
        raise ProblemError(ErrorCode.OUT_OF_TIME, detail) from None


def _settle(done: asyncio.Task[Any], slot: RequestSlot) -> None:
    slot.leave()
    # Looked at, so that asyncio does not log an exception that nobody waits for: it may name a file.
    if not done.cancelled():
        done.exception()
