"""Conversion of scan sources to slices, and decoding in worker threads while the network runs."""

from __future__ import annotations

import hashlib
import io
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path, PurePath
from typing import Final, TypeAlias, TypeVar

import numpy as np
from PIL import Image

from brainslice.errors import UnreadableScanError, UsageError
from brainslice.remote import RemoteFile
from brainslice.scan import Slice, decode_scan, printable, read_scan

ScanSource: TypeAlias = str | Path | RemoteFile | bytes | np.ndarray | Image.Image
"""A path, a file of a store, the bytes of a file, an array ``(h, w)`` or a PIL image."""

BATCH: Final = 32
"""The batch size of inference."""

_PREFETCH: Final = 3
"""The maximum number of batches being decoded or waiting, which bounds the memory."""

_MAX_WORKERS: Final = 8

_PNG_MODES: Final = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})

Item = TypeVar("Item")
Decoded = TypeVar("Decoded")


def read_source(source: ScanSource, frame: int | None = None) -> Slice:
    """Read one slice.

    Args:
        source: A path, the bytes of a file, grey values ``(h, w)``, 8-bit colours ``(h, w, 3)``, or a PIL image.
        frame: Which frame, page or axial slice of a file of several, from 1.

    Raises:
        UnreadableScanError: The source cannot be read as one slice.
    """
    if isinstance(source, str | Path | RemoteFile):
        return read_scan(source, frame)
    if isinstance(source, bytes):
        return decode_scan(source, "bytes", frame)
    if isinstance(source, np.ndarray):
        return _read_array(source)
    # Encoded and decoded, so that a picture in memory is read exactly as one in a file.
    stream = io.BytesIO()
    source.save(stream, "PNG" if source.mode in _PNG_MODES else "TIFF", exif=source.getexif())
    return decode_scan(stream.getvalue(), "image", frame)


def source_name(source: ScanSource) -> str:
    """Name a source in its result: the file's name, or the kind of object."""
    if isinstance(source, str | Path | RemoteFile):
        return printable(PurePath(str(source)).name)
    return {bytes: "bytes", np.ndarray: "array"}.get(type(source), "image")


def _read_array(values: np.ndarray) -> Slice:
    if values.ndim == 3 and values.shape[-1] == 1:  # noqa: PLR2004 - rows, columns, one channel
        values = values[..., 0]
    if values.ndim == 3 and values.shape[-1] in {3, 4} and values.dtype == np.uint8:  # noqa: PLR2004
        return read_source(Image.fromarray(values))
    if values.ndim != 2 or values.dtype.kind not in "uif":  # noqa: PLR2004 - rows and columns
        found = f"shape {values.shape} of {values.dtype}"
        msg = f"array: must be numbers (h, w) or uint8 (h, w, 3), got {found}; pass one slice"
        raise UnreadableScanError(msg)
    pixels = np.ascontiguousarray(values, dtype=np.float32)
    return Slice(pixels, hashlib.sha256(pixels.tobytes()).hexdigest())


def decode_batches(
    items: Iterable[Item], decode: Callable[[Item], Decoded], workers: int = 0, batch: int = BATCH
) -> Iterator[list[Decoded]]:
    """Decode items in threads, a few batches ahead, and yield them in order in batches.

    Decoders and the network release the global interpreter lock, so threads suffice.

    Args:
        items: The items, consumed a few batches ahead.
        decode: Decodes an item; called from several threads.
        workers: The number of threads; 0 for one each core, up to 8.
        batch: The batch size.

    Yields:
        The next ``batch`` decoded items; fewer at the end.

    Raises:
        UsageError: The number of workers is below 0.
    """
    if workers < 0:
        msg = f"the number of workers must be at least 0, got {workers}"
        raise UsageError(msg)
    count = workers or min(os.cpu_count() or 1, _MAX_WORKERS)
    remaining = iter(items)
    waiting: deque[Future[Decoded]] = deque()
    with ThreadPoolExecutor(count, thread_name_prefix="decode") as pool:
        try:
            waiting.extend(pool.submit(decode, item) for item in islice(remaining, _PREFETCH * batch))
            while waiting:
                done = [waiting.popleft().result() for _ in range(min(batch, len(waiting)))]
                # Submitted before the yield, so that workers decode while the network runs.
                waiting.extend(pool.submit(decode, item) for item in islice(remaining, len(done)))
                yield done
        finally:
            for future in waiting:
                future.cancel()
