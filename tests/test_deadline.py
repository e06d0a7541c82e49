from __future__ import annotations

import contextvars
import math
import threading

import pytest

from brainslice.deadline import check_deadline, remaining_seconds, time_limit
from brainslice.errors import TimeLimitError


def test_without_a_limit_there_is_no_deadline() -> None:
    assert remaining_seconds() == math.inf
    check_deadline()


def test_a_deadline_ends_with_its_block_and_an_earlier_one_stays() -> None:
    with time_limit(10.0):
        with time_limit(20.0):
            assert remaining_seconds() <= 10
        with time_limit(-1.0), pytest.raises(TimeLimitError, match="time limit"):
            check_deadline()
        check_deadline()
    assert remaining_seconds() == math.inf


def test_threads_have_the_deadline_of_their_context() -> None:
    found: list[float] = []
    with time_limit(10.0):
        context = contextvars.copy_context()
    for run in (
        lambda: context.run(lambda: found.append(remaining_seconds())),
        lambda: found.append(remaining_seconds()),
    ):
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    assert found[0] <= 10
    assert found[1] == math.inf
