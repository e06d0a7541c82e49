"""The one door through which a file becomes a slice, and the one boundary around every reader."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from brainslice.errors import UnreadableScanError
from brainslice.scan.raster import read_raster
from brainslice.scan.types import Slice

SCAN_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif"})
"""Endings, casefolded, of the files that folders are searched for; reading looks at the content only."""

MOST_BYTES: Final = 320 * 1024 * 1024
"""Larger files are refused unread."""

_FOREIGN: Final = (
    (128, b"DICM", "a DICOM file"),
    (0, b"\x1f\x8b", "a gzip file (NIfTI, perhaps)"),
    (344, b"n+1\0", "a NIfTI file"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"%PDF", "a PDF document"),
)


def read_scan(path: Path) -> Slice:
    """Read one slice from a file, known by its content and not by its ending.

    Args:
        path: A picture file.

    Returns:
        Its grey values, upright, with the sha256 of its bytes.

    Raises:
        UnreadableScanError: The one error for all that can be wrong: ``<path>: <fault>; <remedy>``.
    """
    try:
        data = _bytes_of(path)
    except UnreadableScanError as error:
        msg = f"{_printable(str(path))}: {error}"
        raise UnreadableScanError(msg) from error
    return decode_scan(data, str(path))


def decode_scan(data: bytes, name: str) -> Slice:
    """Read one slice from bytes that are in memory already, as those of an upload are; no file is touched.

    Args:
        data: A picture file's bytes, whole.
        name: What errors call it.

    Returns:
        As ``read_scan`` gives.

    Raises:
        UnreadableScanError: As of ``read_scan``.
    """
    try:
        data = _of_right_length(data)
        _refuse_foreign(data)
        return read_raster(data, hashlib.sha256(data).hexdigest())
    except UnreadableScanError as error:
        msg = f"{_printable(name)}: {error}"
        raise UnreadableScanError(msg) from error


def _bytes_of(path: Path) -> bytes:
    try:
        if path.is_dir():
            msg = "must be a picture file, got a folder; name the files in it"
            raise UnreadableScanError(msg)
        if path.exists() and not path.is_file():
            msg = "must be a picture file, got a device or a pipe; save the picture to a file first"
            raise UnreadableScanError(msg)
        with path.open("rb") as stream:
            return stream.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        msg = "no such file; check the path"
        raise UnreadableScanError(msg) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        msg = f"cannot be opened ({reason}); check the path and who may read it"
        raise UnreadableScanError(msg) from error


def _of_right_length(data: bytes) -> bytes:
    if not data:
        msg = "the file is empty; copy or download it again"
        raise UnreadableScanError(msg)
    if len(data) > MOST_BYTES:
        msg = f"must be a file of at most {MOST_BYTES:,} bytes, got more; export the slice alone"
        raise UnreadableScanError(msg)
    return data


def _refuse_foreign(data: bytes) -> None:
    for offset, signature, name in _FOREIGN:
        if data[offset : offset + len(signature)] == signature:
            msg = f"must be a picture, got {name}, which cannot be read here; export the slice as PNG"
            raise UnreadableScanError(msg)


def _printable(name: str) -> str:
    # A line feed or a byte that is no UTF-8 in a name must not break the one line of the message.
    shown = name.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in shown)
