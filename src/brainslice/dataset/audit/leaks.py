"""Leaks between splits, and overlap with other data sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from brainslice.arrays import Groups
from brainslice.dataset.duplicates.near_duplicates import DuplicateKind, DuplicatePair

SPLIT_NAMES: Final = {
    "train": 0,
    "training": 0,
    "val": 1,
    "valid": 1,
    "validation": 1,
    "test": 2,
    "testing": 2,
}
"""Casefolded names of split folders, and in which order the splits are used."""


@dataclass(frozen=True, slots=True)
class AuditedFile:
    """One file that could be read.

    Attributes:
        path: Relative to the audited folder, with forward slashes.
        label: The class its folder names; empty for files in no class folder.
        split: The name of its split folder; empty where there is none.
        sha256: Hash of its bytes, in hexadecimal.
        pixel_hash: Hash of its decoded picture, in hexadecimal.
    """

    path: str
    label: str
    split: str
    sha256: str
    pixel_hash: str


@dataclass(frozen=True, slots=True)
class Leak:
    """Leak between two splits; each file counts once, under its closest relation.

    Attributes:
        split: The later split, as ``Testing``.
        source: The earlier one, as ``Training``.
        files: Files in the later split.
        identical: Of them those with the bytes of an earlier file.
        same_pixels: Those that store an earlier file's pixels differently.
        copies: Those that are near, mirrored or turned copies of an earlier file.
        near_copies: Those that are a copy of an earlier file or the next slice of the same head.
        related: Those connected to an earlier file through other copies only.
    """

    split: str
    source: str
    files: int
    identical: int
    same_pixels: int
    copies: int
    near_copies: int
    related: int

    @property
    def known(self) -> int:
        """The number of files of the later split that are known."""
        return self.identical + self.same_pixels + self.copies + self.near_copies + self.related


@dataclass(frozen=True, slots=True)
class SharedScan:
    """A file with a duplicate in another set.

    Attributes:
        first: Its place among the audited files.
        other: The other set's file, relative to its folder.
        kind: How the two differ.
        correlation: Of their fine structure; 1 for exact copies.
    """

    first: int
    other: str
    kind: DuplicateKind
    correlation: float


@dataclass(frozen=True, slots=True)
class Overlap:
    """The overlap of two folders.

    Attributes:
        folder: The other folder.
        files: How many of its files could be read.
        unreadable: How many could not.
        shared: The audited files that are also there, each with the other file most like it.
        by_label: For each class of the audited folder: its name, how many of its files are also there, and
            how many it has.
    """

    folder: Path
    files: int
    unreadable: int
    shared: tuple[SharedScan, ...]
    by_label: tuple[tuple[str, int, int], ...]


def split_rank(name: str) -> int:
    """Return the rank of a split: 0 for training, 1 for validation, 2 for test."""
    return SPLIT_NAMES[name.casefold()]


def find_leaks(files: Sequence[AuditedFile], twins: Iterable[DuplicatePair], groups: Groups) -> tuple[Leak, ...]:
    """Measure the leak between each two splits.

    Args:
        files: All files; those without a split do not matter.
        twins: Pairs of them that show one picture.
        groups: The groups that the twins connect ``(n,)``.
    """
    names = sorted({file.split for file in files if file.split}, key=lambda name: (split_rank(name), name))
    copies = _copies(files, twins)
    return tuple(
        _leak(files, copies, groups, (source, split)) for later, split in enumerate(names) for source in names[:later]
    )


def find_overlap(
    files: Sequence[AuditedFile], others: Sequence[AuditedFile], twins: Iterable[DuplicatePair]
) -> tuple[SharedScan, ...]:
    """Find the closest file of another set for each file.

    Args:
        files: The audited files.
        others: The other set's files.
        twins: Pairs among both, the others counted on from ``len(files)``.

    Returns:
        One entry for each audited file that is also in the other set, in the files' order.
    """
    copies = _copies([*files, *others], twins)
    theirs: dict[str, list[AuditedFile]] = {}
    for other in others:
        theirs.setdefault(other.pixel_hash, []).append(other)
    shared = []
    for place, file in enumerate(files):
        equal = theirs.get(file.pixel_hash)
        if equal:
            same_file = [other for other in equal if other.sha256 == file.sha256]
            kind = DuplicateKind.IDENTICAL if same_file else DuplicateKind.SAME_PIXELS
            shared.append(SharedScan(place, (same_file or equal)[0].path, kind, 1.0))
            continue
        there = [copy for copy in copies.get(file.pixel_hash, ()) if copy.pixel_hash in theirs]
        if there:
            best = max(there, key=lambda copy: copy.correlation)
            shared.append(SharedScan(place, theirs[best.pixel_hash][0].path, best.kind, best.correlation))
    return tuple(shared)


def count_by_label(files: Sequence[AuditedFile], shared: Iterable[SharedScan]) -> tuple[tuple[str, int, int], ...]:
    """Count shared files and all files by class."""
    total = Counter(file.label for file in files)
    some = Counter(files[each.first].label for each in shared)
    return tuple((label, some[label], total[label]) for label in sorted(total))


class _Copy(NamedTuple):
    """An image, by its hash, of which a file is a copy."""

    pixel_hash: str
    kind: DuplicateKind
    correlation: float


def _copies(files: Sequence[AuditedFile], twins: Iterable[DuplicatePair]) -> dict[str, list[_Copy]]:
    """Return the copies of each image, by hash."""
    copies: dict[str, list[_Copy]] = {}
    for twin in twins:
        one, other = files[twin.first].pixel_hash, files[twin.second].pixel_hash
        if one != other:
            copies.setdefault(one, []).append(_Copy(other, twin.kind, twin.correlation))
            copies.setdefault(other, []).append(_Copy(one, twin.kind, twin.correlation))
    return copies


def _leak(
    files: Sequence[AuditedFile], copies: dict[str, list[_Copy]], groups: Groups, splits: tuple[str, str]
) -> Leak:
    source, split = splits
    earlier = [place for place, file in enumerate(files) if file.split == source]
    hashes = {files[place].sha256 for place in earlier}
    pixels = {files[place].pixel_hash for place in earlier}
    families = {int(groups[place]) for place in earlier}
    later = [place for place, file in enumerate(files) if file.split == split]
    counts: Counter[int] = Counter()
    for place in later:
        file = files[place]
        there = [copy for copy in copies.get(file.pixel_hash, ()) if copy.pixel_hash in pixels]
        relations = (
            file.sha256 in hashes,
            file.pixel_hash in pixels,
            any(copy.kind != DuplicateKind.SIMILAR for copy in there),
            bool(there),
            int(groups[place]) in families,
        )
        if any(relations):
            counts[relations.index(True)] += 1
    return Leak(split, source, len(later), counts[0], counts[1], counts[2], counts[3], counts[4])
