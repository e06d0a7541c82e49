"""Decompression that stops at a given number of bytes: a small file may expand to gigabytes."""

from __future__ import annotations

import zlib
from typing import Final

GZIP: Final = 31
"""The format of ``.gz`` files, as zlib numbers it."""

DEFLATE: Final = -15
"""Deflated data without a header, as DICOM has it."""

_BLOCK: Final = 1 << 14


def decompress(data: bytes, most: int, window: int = GZIP) -> bytes | bytearray:
    """Decompress at most ``most`` bytes, of several gzip members one after another.

    Args:
        data: The compressed bytes; they may be cut short.
        most: The number of bytes after which to stop.
        window: The format, ``GZIP`` or ``DEFLATE``.

    Returns:
        The bytes, at most ``most``; fewer where ``data`` holds fewer.

    Raises:
        zlib.error: The data are damaged.
    """
    found, view, at = bytearray(), memoryview(data), 0
    # In blocks: what follows a member is copied, and a file may hold a million empty ones.
    opener = zlib.decompressobj(window)
    while at < len(view) and len(found) < most:
        block = view[at : at + _BLOCK]
        found += opener.decompress(block, most - len(found))
        at += len(block) - len(opener.unused_data)
        if opener.eof:
            if data[at : at + 2] != b"\x1f\x8b":  # padding
                break
            opener = zlib.decompressobj(window)
    return found
