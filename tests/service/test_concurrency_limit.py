from __future__ import annotations

import asyncio
import threading

import pytest

from brainslice.deadline import check_deadline
from brainslice.service.concurrency_limit import ConcurrencyLimit, within
from brainslice.service.problems import ErrorCode, ProblemError
from brainslice.service.settings import Limits
from brainslice.service.worker import Threads


def fault_of(caught: pytest.ExceptionInfo[ProblemError]) -> ErrorCode:
    return caught.value.fault


def test_requests_beyond_the_limit_are_refused_until_one_leaves() -> None:
    admission = ConcurrencyLimit(Limits(requests=2))
    first, _ = admission.enter(), admission.enter()
    with pytest.raises(ProblemError) as caught:
        admission.enter()
    assert fault_of(caught) is ErrorCode.BUSY
    first.leave()
    first.leave()
    admission.enter()
    assert admission.requests == 2


def test_leaving_releases_memory() -> None:
    admission = ConcurrencyLimit(Limits(request_bytes=10, memory_bytes=15))
    first, second = admission.enter(), admission.enter()
    first.hold(10)
    with pytest.raises(ProblemError) as caught:
        second.hold(6)
    assert fault_of(caught) is ErrorCode.NO_ROOM
    first.leave()
    second.hold(6)
    assert admission.held_bytes == 6


def test_request_size_is_limited() -> None:
    ticket = ConcurrencyLimit(Limits(request_bytes=10)).enter()
    ticket.hold(10)
    with pytest.raises(ProblemError) as caught:
        ticket.hold(1)
    assert fault_of(caught) is ErrorCode.TOO_LARGE


def test_draining_rejects_requests() -> None:
    admission = ConcurrencyLimit(Limits())
    admission.draining = True
    with pytest.raises(ProblemError) as caught:
        admission.enter()
    assert fault_of(caught) is ErrorCode.DRAINING


async def _empty(admission: ConcurrencyLimit) -> None:
    while admission.requests:  # noqa: ASYNC110 - nobody is told when it is empty
        await asyncio.sleep(0.001)


def test_timed_out_work_keeps_its_slot_until_it_ends() -> None:
    admission, go_on = ConcurrencyLimit(Limits()), threading.Event()

    async def scene() -> None:
        ticket = admission.enter()
        ticket.hold(5)
        with pytest.raises(ProblemError) as caught:
            await within(0.01, ticket, asyncio.to_thread(go_on.wait, 30))
        assert fault_of(caught) is ErrorCode.OUT_OF_TIME
        assert (admission.requests, admission.held_bytes) == (1, 5)
        go_on.set()
        await asyncio.wait_for(_empty(admission), 30)
        assert admission.held_bytes == 0

    asyncio.run(scene())


def test_results_and_errors_are_passed_on_and_the_slot_released() -> None:
    admission = ConcurrencyLimit(Limits())

    async def fail() -> None:
        msg = "as it is"
        raise TimeoutError(msg)

    async def scene() -> None:
        assert await within(5.0, admission.enter(), asyncio.sleep(0, "answer")) == "answer"
        with pytest.raises(TimeoutError, match="as it is"):
            await within(5.0, admission.enter(), fail())
        await asyncio.sleep(0)
        assert admission.requests == 0

    asyncio.run(scene())


def test_threads_see_the_deadline_of_their_request() -> None:
    limit, ended = ConcurrencyLimit(Limits()), threading.Event()

    def work() -> None:
        try:
            while True:
                check_deadline()
        finally:
            ended.set()

    async def scene() -> None:
        with pytest.raises(ProblemError) as caught:
            await within(1.0, limit.enter(), Threads(1, "test").run(work))
        assert fault_of(caught) is ErrorCode.OUT_OF_TIME
        await asyncio.wait_for(_empty(limit), 30)

    asyncio.run(scene())
    assert ended.is_set()
