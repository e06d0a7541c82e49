"""Decompression with a limit: a small file may expand to gigabytes."""

from __future__ import annotations

import zlib
from typing import Final

GZIP: Final = 31
"""The format of ``.gz`` files, as zlib numbers it."""

DEFLATE: Final = -15
"""Raw deflate data without a header, as in DICOM."""

_BLOCK: Final = 1 << 14


def decompress(data: bytes, limit: int, window: int = GZIP) -> bytes | bytearray:
    """Decompress at most ``limit`` bytes of concatenated gzip members.

    Args:
        data: The compressed bytes; they may be truncated.
        limit: The number of bytes after which to stop.
        window: The format, ``GZIP`` or ``DEFLATE``.

    Returns:
        At most ``limit`` bytes.

    Raises:
        zlib.error: The data are damaged.
    """
    found, view, at = bytearray(), memoryview(data), 0
    # In blocks, since zlib copies the bytes after each member, and a file may hold a million empty members.
    decoder = zlib.decompressobj(window)
    while at < len(view) and len(found) < limit:
        block = view[at : at + _BLOCK]
        found += decoder.decompress(block, limit - len(found))
        at += len(block) - len(decoder.unused_data)
        if decoder.eof:
            if data[at : at + 2] != b"\x1f\x8b":  # padding
                break
            decoder = zlib.decompressobj(window)
    return found
