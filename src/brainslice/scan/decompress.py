"""Compressed bytes, opened no further than is needed: a small file may hold gigabytes of nothing."""

from __future__ import annotations

import zlib
from typing import Final

GZIP: Final = 31
"""The format of ``.gz`` files, as zlib numbers it."""

DEFLATE: Final = -15
"""Compressed data alone, as DICOM holds it."""


def decompress(data: bytes, most: int, window: int = GZIP) -> bytes:
    """Inflate at most so many bytes, of several gzip members one after another.

    Args:
        data: What was compressed; it may be cut short.
        most: The number of bytes after which to stop.
        window: The format, ``GZIP`` or ``DEFLATE``.

    Returns:
        The bytes, at most ``most``; fewer where ``data`` holds fewer.

    Raises:
        zlib.error: The data are damaged.
    """
    parts: list[bytes] = []
    missing = most
    while data and missing > 0:
        opener = zlib.decompressobj(window)
        parts.append(opener.decompress(data, missing))
        missing -= len(parts[-1])
        # What follows a member is another one, or filling that nobody needs.
        data = opener.unused_data if opener.unused_data[:2] == b"\x1f\x8b" else b""
    return b"".join(parts)
