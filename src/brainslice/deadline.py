"""A deadline of the current context, for work in threads that cannot be cancelled."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar
from math import inf
from typing import Final

from brainslice.errors import TimeLimitError

_END: Final = ContextVar("brainslice_deadline", default=inf)


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Set the deadline of this context and its copies, in seconds from now; an earlier deadline stays."""
    token = _END.set(min(_END.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _END.reset(token)


def remaining_seconds() -> float:
    """Return the seconds until the deadline, negative after it; infinity without one."""
    return _END.get() - time.monotonic()


def check_deadline() -> None:
    """Raise ``TimeLimitError`` if the deadline has passed; called in loops over files, slices and batches."""
    if remaining_seconds() < 0:
        msg = "the time limit has passed; send fewer or smaller files, or raise the limit"
        raise TimeLimitError(msg)
