"""Bytes of files that people name, and their names as one line can hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

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
    return of_right_length(_opened(path, most + 1), most)


def of_right_length(data: bytes, most: int = MOST_BYTES) -> bytes:
    """Let a file's bytes pass where there are some, and not too many.

    Raises:
        UnreadableScanError: There are none, or more than ``most``.
    """
    if not data:
        msg = "the file is empty; copy or download it again"
        raise UnreadableScanError(msg)
    if len(data) > most:
        msg = f"must be a file of at most {most:,} bytes, got more; export the slice alone"
        raise UnreadableScanError(msg)
    return data


def opening_bytes(path: Path, count: int) -> bytes:
    """Read how a file begins; nothing of what is no file or cannot be opened."""
    try:
        _refuse_other_than_files(path)
        return _opened(path, count)
    except UnreadableScanError:
        return b""


def printable(name: str) -> str:
    """Write a name so that a line feed in it, or a byte that is no UTF-8, does not break a one-line message."""
    shown = name.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in shown)


def _refuse_other_than_files(path: Path) -> None:
    try:
        folder, other = path.is_dir(), path.exists() and not path.is_file()
    except (OSError, ValueError) as error:
        raise _unopened(error) from error
    if folder:
        msg = "must be a file, got a folder; name the files in it, or give a series to `brainslice volume`"
        raise UnreadableScanError(msg)
    if other:
        msg = "must be a file, got a device or a pipe; save the picture to a file first"
        raise UnreadableScanError(msg)


def _opened(path: Path, count: int) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(count)
    except FileNotFoundError as error:
        msg = "no such file; check the path"
        raise UnreadableScanError(msg) from error
    except (OSError, ValueError) as error:
        raise _unopened(error) from error


def _unopened(error: Exception) -> UnreadableScanError:
    reason = getattr(error, "strerror", None) or str(error)
    return UnreadableScanError(f"cannot be opened ({reason}); check the path and who may read it")
