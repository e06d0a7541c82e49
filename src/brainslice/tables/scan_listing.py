"""Which files a person means: files, folders of them, and lists, in an order that never changes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brainslice.errors import UsageError
from brainslice.scan.detect import is_dicom
from brainslice.scan.files import is_folder, printable
from brainslice.scan.read import SCAN_SUFFIXES

_FINGERPRINT_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class ListedScan:
    """The paths that a text file lists, a line each; read anew each time, never held as a whole.

    Attributes:
        path: The text file, in UTF-8.
    """

    path: Path

    def __iter__(self) -> Iterator[Path]:
        """Give its paths in their order.

        Raises:
            UsageError: The file cannot be read.
        """
        try:
            with self.path.open(encoding="utf-8", errors="surrogateescape") as stream:
                yield from list_paths(stream)
        except OSError as error:
            msg = f"{self.path}: cannot be read ({error.strerror}); give a text file with a path on each line"
            raise UsageError(msg) from error


def list_paths(lines: Iterable[str]) -> Iterator[Path]:
    """Take a path from each line; empty lines mean nothing."""
    for line in lines:
        if name := line.rstrip("\r\n"):
            yield Path(name)


def list_scans(places: Iterable[Path]) -> Iterator[Path]:
    """Find the scans that files and folders stand for.

    A file that is named is taken whatever it is called. Folders are searched to any depth, in the order of their
    names, for the endings of scans, and for DICOM files without an ending. Names that begin with a dot are passed
    over, and links to folders are not followed. The names of the folders on the way down are all that is listed at
    a time; of every path given, a fingerprint is kept.

    Args:
        places: Files and folders.

    Yields:
        Each scan once, however often it is named.

    Raises:
        UsageError: A folder that was named holds no scans.
    """
    given: set[bytes] = set()
    for place in places:
        for path in _searched(place) if is_folder(place) else (place,):
            name = fingerprint(display_path(path))
            if name not in given:
                given.add(name)
                yield path


def display_path(path: Path) -> str:
    """Spell a path on one line of UTF-8, whatever bytes its name has."""
    return printable(str(path))


def fingerprint(text: str) -> bytes:
    """Stand in for a path where a million of them are remembered."""
    return hashlib.blake2b(text.encode(), digest_size=_FINGERPRINT_BYTES).digest()


def _searched(folder: Path) -> Iterator[Path]:
    found = _walked(folder)
    first = next(found, None)
    if first is None:
        msg = f"{folder}: holds no scans; endings looked for are {', '.join(sorted(SCAN_SUFFIXES))}"
        raise UsageError(msg)
    yield first
    yield from found


def _walked(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(_named(entry) for entry in entries if not entry.name.startswith("."))
    except OSError:
        # A folder that cannot be opened is refused as a file is, and does not stop the rest.
        yield folder
        return
    for name, leads_on in names:
        path = folder / name
        if leads_on:
            yield from _walked(path)
        elif _looks_like_a_scan(path):
            yield path


def _named(entry: os.DirEntry[str]) -> tuple[str, bool]:
    return entry.name, entry.is_dir(follow_symlinks=False)


def _looks_like_a_scan(path: Path) -> bool:
    name = path.name.casefold()
    if name.endswith(tuple(SCAN_SUFFIXES)):
        # Links that lead nowhere, and what may not be looked at, become rows with a reason.
        return os.path.isfile(path) or not os.path.exists(path)  # noqa: PTH110, PTH113 - these never raise
    ending = path.suffix[1:]
    return (not ending or ending.isdigit()) and path.is_file() and is_dicom(path)
