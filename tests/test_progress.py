from __future__ import annotations

import pytest

from brainslice.progress import map_in_threads


def test_results_keep_their_order_and_each_block_is_reported() -> None:
    calls: list[tuple[str, int, int]] = []
    found = map_in_threads(lambda number: number**2, range(300), "squares", lambda *call: calls.append(call))
    assert list(found) == [number**2 for number in range(300)]
    assert calls == [("squares", 128, 300), ("squares", 256, 300), ("squares", 300, 300)]


def test_an_exception_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        list(map_in_threads(lambda number: 1 // number, [1, 0], "divide", lambda *_: None))
