"""Reading of input files with limits, and their names in messages."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from brainslice.errors import UnreadableScanError

MAX_BYTES: Final = 320 * 1024 * 1024
"""Maximum size of an input file, checked before reading."""


def file_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Read all bytes of a file.

    Args:
        path: The file.
        limit: Its maximum length.

    Raises:
        UnreadableScanError: It is not a file, cannot be opened, is empty or too long; the message does not name it.
    """
    _refuse_non_file(path)
    with _open(path) as stream:
        length = os.fstat(stream.fileno()).st_size
        check_size(length, limit)
        # Python allocates as many bytes as are asked for.
        return stream.read(length)


def check_length(data: bytes, limit: int = MAX_BYTES) -> bytes:
    """Return the bytes of a file after checking their number.

    Raises:
        UnreadableScanError: There are none, or more than ``limit``.
    """
    check_size(len(data), limit)
    return data


def leading_bytes(path: Path, count: int) -> bytes:
    """Read the first bytes of a file; empty where it cannot be opened."""
    try:
        _refuse_non_file(path)
        with _open(path) as stream:
            return stream.read(count)
    except UnreadableScanError:
        return b""


def is_folder(path: Path) -> bool:
    """Check whether a path is a folder; False where the system refuses it, as with a name that is too long."""
    try:
        return path.is_dir()
    except OSError:
        return False


def printable(name: str) -> str:
    """Escape line breaks and invalid UTF-8 in a file name, for messages of one line."""
    shown = name.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in shown)


def check_size(length: int, limit: int = MAX_BYTES) -> None:
    """Check the number of bytes of a file.

    Raises:
        UnreadableScanError: There are none, or more than ``limit``.
    """
    if not length:
        msg = "the file is empty; copy or download it again"
        raise UnreadableScanError(msg)
    if length > limit:
        msg = f"must be a file of at most {limit:,} bytes, got {length:,}; export the slice alone"
        raise UnreadableScanError(msg)


def _refuse_non_file(path: Path) -> None:
    try:
        folder, other = path.is_dir(), path.exists() and not path.is_file()
    except (OSError, ValueError) as error:
        raise _open_error(error) from error
    if folder and not os.access(path, os.R_OK | os.X_OK):
        raise _open_error(PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    if folder:
        msg = "must be a file, got a folder; name the files in it, or give a series to `brainslice predict-volume`"
        raise UnreadableScanError(msg)
    if other:
        msg = "must be a file, got a device or a pipe; save the picture to a file first"
        raise UnreadableScanError(msg)


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as stream:
            yield stream
    except FileNotFoundError as error:
        msg = "no such file; check the path"
        raise UnreadableScanError(msg) from error
    except (OSError, ValueError) as error:
        raise _open_error(error) from error


def _open_error(error: Exception) -> UnreadableScanError:
    reason = getattr(error, "strerror", None) or str(error)
    return UnreadableScanError(f"cannot be opened ({reason}); check the path and who may read it")
