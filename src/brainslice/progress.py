"""Progress callbacks, and work in threads that reports to them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol, TypeVar, runtime_checkable

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_BLOCK: Final = 128


@runtime_checkable
class Progress(Protocol):
    """A progress callback."""

    def __call__(self, step: str, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` items of a step are finished."""
        ...


def silent(step: str, done: int, total: int) -> None:
    """Ignore progress."""


def map_in_threads(
    function: Callable[[_Item], _Result], items: Sequence[_Item], step: str, progress: Progress
) -> Iterator[_Result]:
    """Apply a function to each item in threads, and report after each block; results keep the items' order."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - every command imports this module

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(items), _BLOCK):
            block = items[start : start + _BLOCK]
            yield from pool.map(function, block)
            progress(step, start + len(block), len(items))
