"""Limits of concurrent requests, of the memory of their uploads, and of their time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from brainslice.deadline import check_deadline, time_limit
from brainslice.errors import TimeLimitError
from brainslice.service.problems import STOPPING, ErrorCode, ProblemError
from brainslice.service.settings import Limits

Result = TypeVar("Result")


class ConcurrencyLimit:
    """The counts of running requests; probes are not counted.

    Attributes:
        draining: Whether the service is stopping and rejects requests.
        requests: The number of requests running or waiting.
        held_bytes: The number of bytes of their uploads.
    """

    def __init__(self, limits: Limits) -> None:
        self.draining = False
        self.requests = 0
        self.held_bytes = 0
        self._limits = limits
        # Threads that extract archives count bytes, too.
        self._lock = threading.Lock()

    @property
    def full(self) -> bool:
        """Whether the next request would be rejected."""
        return self.requests >= self._limits.requests

    def enter(self) -> RequestSlot:
        """Take a slot for one more request.

        Raises:
            ProblemError: The service is stopping, or the maximum number of requests is running.
        """
        if self.draining:
            raise ProblemError(ErrorCode.DRAINING, STOPPING)
        if self.full:
            detail = f"{self.requests} requests are running, the maximum; try again in a moment"
            raise ProblemError(ErrorCode.BUSY, detail)
        with self._lock:
            self.requests += 1
        return RequestSlot(self, self._limits)

    def hold(self, count: int) -> None:
        """Reserve memory.

        Raises:
            ProblemError: There is not enough.
        """
        with self._lock:
            if self.held_bytes + count > self._limits.memory_bytes:
                raise ProblemError(ErrorCode.NO_ROOM, "the memory for uploads is full; try again in a moment")
            self.held_bytes += count

    def release(self, count: int) -> None:
        """Release a request and its memory."""
        with self._lock:
            self.requests -= 1
            self.held_bytes -= count


class RequestSlot:
    """The slot of a request, until ``leave``."""

    def __init__(self, limit: ConcurrencyLimit, limits: Limits) -> None:
        self._limit = limit
        self._limits = limits
        self._bytes = 0
        self._left = False

    def hold(self, count: int) -> None:
        """Reserve memory for bytes that are received or extracted.

        Raises:
            ProblemError: This request, or all together, exceed their limit.
            TimeLimitError: The deadline of the request has passed.
        """
        check_deadline()
        if self._bytes + count > self._limits.request_bytes:
            detail = f"a request must hold at most {self._limits.request_bytes:,} bytes, got more; send fewer files"
            raise ProblemError(ErrorCode.TOO_LARGE, detail)
        self._limit.hold(count)
        self._bytes += count

    def leave(self) -> None:
        """Release slot and memory; later calls do nothing."""
        if not self._left:
            self._left = True
            self._limit.release(self._bytes)


async def within(seconds: float, slot: RequestSlot, work: Coroutine[Any, Any, Result]) -> Result:
    """Await a coroutine with a time limit, and release the request's slot when it ends.

    Work in threads ends at the first file, slice or batch after the deadline, and keeps slot and memory until then.

    Raises:
        ProblemError: The time limit has passed.
    """
    with time_limit(seconds):
        task = asyncio.create_task(work)
    task.add_done_callback(lambda done: _release(done, slot))
    try:
        return await asyncio.wait_for(asyncio.shield(task), seconds)
    except TimeLimitError as error:
        # A thread noticed the deadline before the event loop did.
        raise ProblemError(ErrorCode.OUT_OF_TIME, str(error)) from None
    except TimeoutError as error:
        if task.done() and not task.cancelled() and task.exception() is error:
            raise
        detail = f"the prediction took more than {seconds:g} seconds; send fewer or smaller files, or try again later"
        raise ProblemError(ErrorCode.OUT_OF_TIME, detail) from None


def _release(done: asyncio.Task[Any], slot: RequestSlot) -> None:
    slot.leave()
    # Retrieved, so that asyncio does not log it: it may name a file.
    if not done.cancelled():
        done.exception()
