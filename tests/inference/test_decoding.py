from __future__ import annotations

import threading
import time
from itertools import count, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.errors import UsageError
from brainslice.inference.decoding import decode_batches


@given(st.lists(st.integers(), max_size=40), st.integers(1, 4), st.integers(1, 9))
def test_items_are_decoded_once_in_order(items: list[int], workers: int, batch: int) -> None:
    batches = list(decode_batches(items, str, workers, batch))
    assert [decoded for each in batches for decoded in each] == [str(item) for item in items]
    assert all(len(each) == batch for each in batches[:-1])
    assert all(1 <= len(each) <= batch for each in batches)


def test_items_are_consumed_a_few_batches_ahead() -> None:
    endless = count()
    assert [len(each) for each in islice(decode_batches(endless, str, 2, batch=4), 5)] == [4] * 5
    assert next(endless) <= 4 * (5 + 3)


def test_the_next_scans_are_decoded_while_the_caller_is_busy() -> None:
    decoded: list[int] = []
    first_of_the_next_batch = threading.Event()

    def decode(item: int) -> int:
        decoded.append(item)
        if item == 2:
            first_of_the_next_batch.set()
        return item

    batches = decode_batches(range(8), decode, workers=1, batch=2)
    assert next(batches) == [0, 1]
    assert first_of_the_next_batch.wait(timeout=30), "nothing was decoded ahead"
    batches.close()


def test_several_items_are_decoded_at_the_same_time() -> None:
    together = threading.Barrier(3)

    def decode(item: int) -> int:
        together.wait(timeout=30)
        return item

    assert list(decode_batches(range(3), decode, workers=3)) == [[0, 1, 2]]


def test_closing_the_iterator_stops_decoding() -> None:
    decoded: list[int] = []

    def decode(item: int) -> int:
        time.sleep(0.001)
        decoded.append(item)
        return item

    batches = decode_batches(range(1000), decode, workers=1, batch=8)
    next(batches)
    batches.close()
    assert len(decoded) < 100
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_errors_of_workers_are_raised() -> None:
    def decode(item: int) -> float:
        return 1 / item

    with pytest.raises(ZeroDivisionError):
        list(decode_batches([2, 1, 0, 3], decode))


def test_negative_number_of_workers_raises() -> None:
    with pytest.raises(UsageError, match="workers must be at least 0, got -1"):
        next(decode_batches([1], str, -1))
