"""Which files a person means: files, folders of them, and lists, in an order that never changes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brainslice.errors import UsageError
from brainslice.scan.files import is_folder, printable
from brainslice.scan.listing import SkippedFiles, walk_scans
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


def list_scans(places: Iterable[Path], skipped: SkippedFiles | None = None) -> Iterator[Path]:
    """Find the scans that files and folders stand for.

    A file that is named is taken whatever it is called. Folders are searched by ``scan.listing``, in the order of
    their names; links to folders are not followed. Of every path given, a fingerprint is kept.

    Args:
        places: Files and folders.
        skipped: Counts what is passed over in folders.

    Yields:
        Each scan once, however often it is named.

    Raises:
        UsageError: A folder that was named holds no scans.
    """
    given: set[bytes] = set()
    for place in places:
        for path in _searched(place, SkippedFiles() if skipped is None else skipped) if is_folder(place) else (place,):
            name = fingerprint(display_path(path))
            if name not in given:
                given.add(name)
                yield path


@dataclass(frozen=True, slots=True)
class ArchivePart:
    """One of several parts of an archive: a scan belongs to a part by the hash of its path alone.

    So processes that know nothing of each other share an archive, and a part is the same however it grows elsewhere.

    Attributes:
        number: Which part, from 1.
        count: How many parts there are.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> ArchivePart:
        """Parse ``NUMBER/COUNT``.

        Raises:
            UsageError: The text has another form, or the number is not from 1 to the count.
        """
        number, _, count = text.partition("/")
        if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            msg = f"--part must be NUMBER/COUNT, such as 3/64, got {text!r}"
            raise UsageError(msg)
        return cls(int(number), int(count))

    def table(self, output: Path) -> Path:
        """Name the table of the part, beside those of the others."""
        return output.with_name(f"{output.stem}-{self.number:05d}-of-{self.count:05d}{output.suffix}")

    def select(self, places: Iterable[Path]) -> Iterable[Path]:
        """Select the scans of the part; what can be gone through twice still can."""
        return self._selected(places) if isinstance(places, Iterator) else _Repeatable(self, places)

    def _selected(self, places: Iterable[Path]) -> Iterator[Path]:
        for place in places:
            for path in _searched(place, SkippedFiles()) if is_folder(place) else (place,):
                if int.from_bytes(fingerprint(display_path(path)), "big") % self.count == self.number - 1:
                    yield path


@dataclass(frozen=True, slots=True)
class _Repeatable:
    part: ArchivePart
    places: Iterable[Path]

    def __iter__(self) -> Iterator[Path]:
        return self.part._selected(self.places)  # noqa: SLF001 - of this module


def display_path(path: Path) -> str:
    """Spell a path on one line of UTF-8, whatever bytes its name has."""
    return printable(str(path))


def fingerprint(text: str) -> bytes:
    """Stand in for a path where a million of them are remembered."""
    return hashlib.blake2b(text.encode(), digest_size=_FINGERPRINT_BYTES).digest()


def _searched(folder: Path, skipped: SkippedFiles) -> Iterator[Path]:
    found = walk_scans(folder, skipped)
    first = next(found, None)
    if first is None:
        seen = f" ({skipped.summary})" if skipped.summary else ""
        msg = f"{folder}: holds no scans{seen}; endings looked for are {', '.join(sorted(SCAN_SUFFIXES))}"
        raise UsageError(msg)
    yield first
    yield from found
