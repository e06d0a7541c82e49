"""Listing of scans in files, folders, stores and text files of paths, in a fixed order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brainslice.errors import UsageError
from brainslice.remote import RemoteFile, ScanPath, locate
from brainslice.scan import SCAN_SUFFIXES, SkippedFiles, is_folder, printable, walk_scans, walk_store

_FINGERPRINT_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class ListedScan:
    """The paths in a text file, a line each; the file is read again for each iteration.

    Attributes:
        path: The text file, in UTF-8.
    """

    path: Path

    def __iter__(self) -> Iterator[ScanPath]:
        """Yield the paths in order.

        Raises:
            UsageError: The file cannot be read.
        """
        try:
            with self.path.open(encoding="utf-8", errors="surrogateescape") as stream:
                yield from list_paths(stream)
        except OSError as error:
            msg = f"{self.path}: cannot be read ({error.strerror}); give a text file with a path on each line"
            raise UsageError(msg) from error


def list_paths(lines: Iterable[str]) -> Iterator[ScanPath]:
    """Yield the path or URI on each line; skip empty lines."""
    for line in lines:
        if name := line.rstrip("\r\n"):
            yield locate(name)


def list_scans(paths: Iterable[ScanPath], skipped: SkippedFiles | None = None) -> Iterator[ScanPath]:
    """List files, and the scans in folders, each once.

    Named files are listed whatever their suffix. Folders are searched by ``scan.listing`` in the order of names,
    without following links to folders. Only a fingerprint of each path is kept in memory.

    Args:
        paths: Files and folders, also of stores.
        skipped: Counts the files in folders that are no scans.

    Raises:
        UsageError: A folder holds no scans, or a URI names nothing.
        DownloadError: A store cannot be reached or does not allow it.
    """
    listed: set[bytes] = set()
    for scan in find_scans(paths, skipped):
        key = fingerprint(display_path(scan))
        if key not in listed:
            listed.add(key)
            yield scan


def find_scans(paths: Iterable[ScanPath], skipped: SkippedFiles | None = None) -> Iterator[ScanPath]:
    """List files, and the scans in folders, in the order of ``list_scans``; what is named twice is listed twice.

    Args:
        paths: Files and folders, also of stores.
        skipped: Counts the files in folders that are no scans.

    Raises:
        UsageError: A folder holds no scans, or a URI names nothing.
        DownloadError: A store cannot be reached or does not allow it.
    """
    counted = SkippedFiles() if skipped is None else skipped
    for path in paths:
        yield from _search(path, counted) if is_searched(path) else (path,)


def is_searched(path: ScanPath) -> bool:
    """Check whether a path is a folder; a URI with the suffix of a scan is not, without a request.

    Raises:
        UsageError: A URI names nothing.
        DownloadError: A store cannot be reached or does not allow it.
    """
    if isinstance(path, RemoteFile):
        return not path.uri.casefold().endswith(tuple(SCAN_SUFFIXES)) and path.is_folder()
    return is_folder(path)


@dataclass(frozen=True, slots=True)
class ArchivePart:
    """A part of an archive, to which scans are assigned by the hash of their path.

    Independent processes can share an archive, and a part does not change when scans of other parts are added.

    Attributes:
        number: The part, from 1.
        count: The number of parts.
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

    def table_name(self, output: ScanPath) -> str:
        """Return the name of the part's table."""
        return f"{output.stem}-{self.number:05d}-of-{self.count:05d}{output.suffix}"

    def table(self, output: Path) -> Path:
        """Return the path of the part's table."""
        return output.with_name(self.table_name(output))

    def select(self, paths: Iterable[ScanPath], *, anonymous: bool = False) -> Iterable[ScanPath]:
        """Select the scans of the part; the result can be iterated as often as ``paths``.

        Args:
            paths: Files and folders, also of stores.
            anonymous: Whether errors name no folder.
        """
        selected = _Repeatable(self, paths, anonymous)
        return iter(selected) if isinstance(paths, Iterator) else selected


@dataclass(frozen=True, slots=True)
class _Repeatable:
    part: ArchivePart
    paths: Iterable[ScanPath]
    anonymous: bool

    def __iter__(self) -> Iterator[ScanPath]:
        for scan in find_scans(self.paths, SkippedFiles(anonymous=self.anonymous)):
            if part_number(scan, self.part.count) == self.part.number:
                yield scan


def part_number(path: ScanPath, count: int) -> int:
    """Return the part of an archive, from 1 to ``count``, to which the hash of a scan's path assigns it."""
    return int.from_bytes(fingerprint(display_path(path)), "big") % count + 1


def display_path(path: ScanPath) -> str:
    """Return a path as one line of UTF-8, whatever bytes its name has."""
    return printable(str(path))


def fingerprint(text: str) -> bytes:
    """Return a 12-byte hash of a path."""
    return hashlib.blake2b(text.encode(), digest_size=_FINGERPRINT_BYTES).digest()


def _search(folder: ScanPath, skipped: SkippedFiles) -> Iterator[ScanPath]:
    found: Iterator[ScanPath] = (
        walk_store(folder, skipped) if isinstance(folder, RemoteFile) else walk_scans(folder, skipped)
    )
    first = next(found, None)
    if first is None:
        others = f" ({skipped.summary})" if skipped.summary else ""
        place = "a folder given" if skipped.anonymous else folder
        msg = f"{place}: holds no scans{others}; suffixes of scans are {', '.join(sorted(SCAN_SUFFIXES))}"
        raise UsageError(msg)
    yield first
    yield from found
