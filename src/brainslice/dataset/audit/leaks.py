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
"""Casefolded names of split folders with the rank of the split."""


@dataclass(frozen=True, slots=True)
class AuditedFile:
    """A readable file.

    Attributes:
        path: Relative to the audited folder, with forward slashes.
        label: The class of its folder; empty outside class folders.
        split: The name of its split folder; empty where there is none.
        sha256: Hash of its bytes, in hexadecimal.
        pixel_hash: Hash of its decoded pixels, in hexadecimal.
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
        identical: Of them, files with the bytes of an earlier file.
        same_pixels: Files with the pixels of an earlier file in another encoding.
        copies: Near, mirrored or rotated copies of an earlier file.
        near_copies: Copies of an earlier file or neighbouring slices of the same head.
        related: Files related to an earlier file through other copies only.
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
        """The number of files of the later split with a relative in the earlier one."""
        return self.identical + self.same_pixels + self.copies + self.near_copies + self.related


@dataclass(frozen=True, slots=True)
class SharedScan:
    """A file with a duplicate in another set.

    Attributes:
        first: Index of the audited file.
        other: The other set's file, relative to its folder.
        kind: The kind of duplicate.
        correlation: Correlation of the fine structure; 1 for exact copies.
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
        files: Number of its readable files.
        unreadable: Number of its unreadable files.
        shared: The audited files with a duplicate there, each with the most similar one.
        by_label: For each class of the audited folder: name, number of shared files, number of files.
    """

    folder: Path
    files: int
    unreadable: int
    shared: tuple[SharedScan, ...]
    by_label: tuple[tuple[str, int, int], ...]


def split_rank(name: str) -> int:
    """Return the rank of a split: 0 for training, 1 for validation, 2 for test."""
    return SPLIT_NAMES[name.casefold()]


def find_leaks(files: Sequence[AuditedFile], pairs: Iterable[DuplicatePair], groups: Groups) -> tuple[Leak, ...]:
    """Measure the leak between each two splits.

    Args:
        files: All files; those without a split are ignored.
        pairs: Duplicates among them.
        groups: The groups connected by the pairs ``(n,)``.
    """
    names = sorted({file.split for file in files if file.split}, key=lambda name: (split_rank(name), name))
    copies = _copies(files, pairs)
    return tuple(
        _leak(files, copies, groups, (source, split)) for later, split in enumerate(names) for source in names[:later]
    )


def find_overlap(
    files: Sequence[AuditedFile], others: Sequence[AuditedFile], pairs: Iterable[DuplicatePair]
) -> tuple[SharedScan, ...]:
    """Find the closest file of another set for each file.

    Args:
        files: The audited files.
        others: The other set's files.
        pairs: Duplicates among both; indices of the others start at ``len(files)``.

    Returns:
        One entry for each audited file with a duplicate in the other set.
    """
    copies = _copies([*files, *others], pairs)
    others_by_hash: dict[str, list[AuditedFile]] = {}
    for other in others:
        others_by_hash.setdefault(other.pixel_hash, []).append(other)
    shared = []
    for index, file in enumerate(files):
        equal = others_by_hash.get(file.pixel_hash)
        if equal:
            same_file = [other for other in equal if other.sha256 == file.sha256]
            kind = DuplicateKind.IDENTICAL if same_file else DuplicateKind.SAME_PIXELS
            shared.append(SharedScan(index, (same_file or equal)[0].path, kind, 1.0))
            continue
        matches = [copy for copy in copies.get(file.pixel_hash, ()) if copy.pixel_hash in others_by_hash]
        if matches:
            best = max(matches, key=lambda copy: copy.correlation)
            shared.append(SharedScan(index, others_by_hash[best.pixel_hash][0].path, best.kind, best.correlation))
    return tuple(shared)


def count_by_label(files: Sequence[AuditedFile], shared: Iterable[SharedScan]) -> tuple[tuple[str, int, int], ...]:
    """Count shared files and all files by class."""
    total = Counter(file.label for file in files)
    some = Counter(files[each.first].label for each in shared)
    return tuple((label, some[label], total[label]) for label in sorted(total))


class _Copy(NamedTuple):
    """A copy, by its hash."""

    pixel_hash: str
    kind: DuplicateKind
    correlation: float


def _copies(files: Sequence[AuditedFile], pairs: Iterable[DuplicatePair]) -> dict[str, list[_Copy]]:
    """Return the copies of each image, by hash."""
    copies: dict[str, list[_Copy]] = {}
    for pair in pairs:
        one, other = files[pair.first].pixel_hash, files[pair.second].pixel_hash
        if one != other:
            copies.setdefault(one, []).append(_Copy(other, pair.kind, pair.correlation))
            copies.setdefault(other, []).append(_Copy(one, pair.kind, pair.correlation))
    return copies


def _leak(
    files: Sequence[AuditedFile], copies: dict[str, list[_Copy]], groups: Groups, splits: tuple[str, str]
) -> Leak:
    source, split = splits
    earlier = [index for index, file in enumerate(files) if file.split == source]
    hashes = {files[index].sha256 for index in earlier}
    pixels = {files[index].pixel_hash for index in earlier}
    earlier_groups = {int(groups[index]) for index in earlier}
    later = [index for index, file in enumerate(files) if file.split == split]
    counts: Counter[int] = Counter()
    for index in later:
        file = files[index]
        matches = [copy for copy in copies.get(file.pixel_hash, ()) if copy.pixel_hash in pixels]
        relations = (
            file.sha256 in hashes,
            file.pixel_hash in pixels,
            any(copy.kind != DuplicateKind.SIMILAR for copy in matches),
            bool(matches),
            int(groups[index]) in earlier_groups,
        )
        if any(relations):
            counts[relations.index(True)] += 1
    return Leak(split, source, len(later), counts[0], counts[1], counts[2], counts[3], counts[4])
