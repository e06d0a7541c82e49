"""Progress callbacks."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """A progress callback."""

    def __call__(self, step: str, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` items of a step are finished."""
        ...


def silent(step: str, done: int, total: int) -> None:
    """Ignore progress."""
