"""Bytes of files that people name, and their names as one line can hold them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from brainslice.errors import UnreadableScanError

MOST_BYTES: Final = 320 * 1024 * 1024
"""Larger files are refused unread."""


def file_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """Read a file whole.

    Args:
        path: The file.
        most: The length from which it is refused.

    Raises:
        UnreadableScanError: It is no file, cannot be opened, is empty or too long; the message is without its name.
    """
    _refuse_other_than_files(path)
    with _opened(path) as stream:
        length = os.fstat(stream.fileno()).st_size
        _refuse_length(length, most)
        # Python makes room for as much as is asked for, so no more is asked for than there is.
        return stream.read(length)


def of_right_length(data: bytes, most: int = MOST_BYTES) -> bytes:
    """Let a file's bytes pass where there are some, and not too many.

    Raises:
        UnreadableScanError: There are none, or more than ``most``.
    """
    _refuse_length(len(data), most)
    return data


def opening_bytes(path: Path, count: int) -> bytes:
    """Read how a file begins; nothing of what is no file or cannot be opened."""
    try:
        _refuse_other_than_files(path)
        with _opened(path) as stream:
            return stream.read(count)
    except UnreadableScanError:
        return b""


def is_folder(path: Path) -> bool:
    """Tell whether a path is a folder; it is none where the system cannot look at it, as where its name is too long."""
    try:
        return path.is_dir()
    except OSError:
        return False


def printable(name: str) -> str:
    """Write a name so that a line feed in it, or a byte that is no UTF-8, does not break a one-line message."""
    shown = name.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in shown)


def _refuse_length(length: int, most: int) -> None:
    if not length:
        msg = "the file is empty; copy or download it again"
        raise UnreadableScanError(msg)
    if length > most:
        msg = f"must be a file of at most {most:,} bytes, got {length:,}; export the slice alone"
        raise UnreadableScanError(msg)


def _refuse_other_than_files(path: Path) -> None:
    try:
        folder, other = path.is_dir(), path.exists() and not path.is_file()
    except (OSError, ValueError) as error:
        raise _unopened(error) from error
    if folder and not os.access(path, os.R_OK | os.X_OK):
        raise _unopened(PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    if folder:
        msg = "must be a file, got a folder; name the files in it, or give a series to `brainslice predict-volume`"
        raise UnreadableScanError(msg)
    if other:
        msg = "must be a file, got a device or a pipe; save the picture to a file first"
        raise UnreadableScanError(msg)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as stream:
            yield stream
    except FileNotFoundError as error:
        msg = "no such file; check the path"
        raise UnreadableScanError(msg) from error
    except (OSError, ValueError) as error:
        raise _unopened(error) from error


def _unopened(error: Exception) -> UnreadableScanError:
    reason = getattr(error, "strerror", None) or str(error)
    return UnreadableScanError(f"cannot be opened ({reason}); check the path and who may read it")
