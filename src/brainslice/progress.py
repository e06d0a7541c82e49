"""How long work tells how far it is, without knowing who listens."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Whoever wants to know how far a step has come."""

    def __call__(self, step: str, done: int, total: int) -> None:
        """Hear that ``done`` of ``total`` pieces of ``step`` are finished."""
        ...


def silent(step: str, done: int, total: int) -> None:
    """Listen to nobody."""
