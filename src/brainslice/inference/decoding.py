"""Scans are decoded in worker threads while the network is busy with those before them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Final, TypeVar

from brainslice.errors import UsageError

BATCH: Final = 32
"""How many scans the network sees at once."""

_AHEAD: Final = 3
"""Batches that are being decoded or wait for the network; they bound the memory, however long the list is."""

_MOST_WORKERS: Final = 8

Item = TypeVar("Item")
Decoded = TypeVar("Decoded")


def decode_batches(
    items: Iterable[Item], decode: Callable[[Item], Decoded], workers: int = 0, batch: int = BATCH
) -> Iterator[list[Decoded]]:
    """Decode items ahead of whoever takes them, and hand them out in their order, a batch at a time.

    Decoders and the network let go of Python's lock while they compute, so threads are enough to keep both busy.

    Args:
        items: What to decode; taken a few batches ahead, never all at once.
        decode: Decodes one of them; called in several threads at the same time.
        workers: How many threads decode; 0 takes as many as there are cores, up to 8.
        batch: How many decoded items are handed out together.

    Yields:
        The next ``batch`` decoded items; fewer at the end.

    Raises:
        UsageError: The number of workers is below 0.
    """
    if workers < 0:
        msg = f"the number of workers must be at least 0, got {workers}"
        raise UsageError(msg)
    count = workers or min(os.cpu_count() or 1, _MOST_WORKERS)
    source = iter(items)
    waiting: deque[Future[Decoded]] = deque()
    with ThreadPoolExecutor(count, thread_name_prefix="decode") as pool:
        try:
            waiting.extend(pool.submit(decode, item) for item in islice(source, _AHEAD * batch))
            while waiting:
                done = [waiting.popleft().result() for _ in range(min(batch, len(waiting)))]
                # Handed to the workers before the network begins, so that they have something to do meanwhile.
                waiting.extend(pool.submit(decode, item) for item in islice(source, len(done)))
                yield done
        finally:
            for future in waiting:
                future.cancel()
