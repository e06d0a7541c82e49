"""Groups of related scans, from a table or by duplicate detection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brainslice.arrays import Groups, Labels
from brainslice.dataset.discovery.patient_folders import ScanFile
from brainslice.dataset.discovery.side_table import match_table
from brainslice.dataset.duplicates.fingerprint import Fingerprint, compute_fingerprint
from brainslice.dataset.duplicates.near_duplicates import (
    DuplicateKind,
    DuplicatePair,
    connected_components,
    connected_groups,
    find_duplicates,
)
from brainslice.dataset.splits.known_datasets import TABLE_FOLDS, KnownScan, perceptual_hash, recognise_dataset
from brainslice.dataset.splits.split import assign_folds
from brainslice.errors import UnreadableScanError
from brainslice.progress import Progress, map_in_threads
from brainslice.scan import read_scan


@dataclass(frozen=True, slots=True, eq=False)
class HashedScan:
    """A readable scan with its fingerprint."""

    found: ScanFile
    fingerprint: Fingerprint
    perceptual_hash: int


@dataclass(frozen=True, slots=True)
class Grouping:
    """The groups of related scans.

    Attributes:
        groups: The group name of each scan.
        folds: The fold of each scan; no group crosses folds.
        origin: ``table`` where patients are known, ``audit`` for duplicate detection only.
        known_scans: Whether this is the public set with known patients.
        conflicts: Duplicates in two classes, by their sources.
        notes: Lines on the table of patients.
    """

    groups: tuple[str, ...]
    folds: tuple[int, ...]
    origin: str
    known_scans: bool
    conflicts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


def hash_scan(
    scans: Sequence[ScanFile], progress: Progress
) -> tuple[tuple[HashedScan, ...], tuple[tuple[str, str], ...]]:
    """Read and hash every scan.

    Returns:
        The readable scans, and source and reason of each unreadable one.
    """
    hashed: list[HashedScan] = []
    unreadable: list[tuple[str, str]] = []
    for scan, outcome in zip(scans, map_in_threads(_hash, scans, "reading scans", progress), strict=True):
        if isinstance(outcome, HashedScan):
            hashed.append(outcome)
        else:
            unreadable.append((scan.source.encode("utf-8", "replace").decode(), outcome))
    return tuple(hashed), tuple(unreadable)


def group_scans(
    table: Path | None, scans: Sequence[HashedScan], labels: Labels, folds: int, seed: int, progress: Progress
) -> Grouping:
    """Group related scans, and assign groups to folds.

    The public set with known patients is recognised and grouped by the shipped table. Otherwise groups are duplicates
    and scans of one patient, by the table, else by the folder inside the class.

    Args:
        table: A table with the columns path and group, or None.
        scans: The scans.
        labels: Their classes ``(n,)``.
        folds: Number of folds.
        seed: Seed for ties.
        progress: Called with step, done and total.

    Raises:
        DatasetError: The table is invalid or matches nothing, or there are fewer groups than folds.
    """
    known = recognise_dataset([(scan.found.source, scan.perceptual_hash) for scan in scans])
    keys: list[str | None] = [scan.found.group for scan in scans]
    notes: tuple[str, ...] = ()
    if known is not None:
        keys = [scan.group if scan else None for scan in known]
        notes = (f"{table.name}: not used, since the patients of this set are known",) if table else ()
    elif table is not None:
        matched = match_table(table, ("group",), [scan.found.source for scan in scans])
        keys = [matched.rows.get(index, {}).get("group") or key for index, key in enumerate(keys)]
        notes = (matched.note,)
    origin = "table" if any(keys) else "audit"
    pairs: tuple[DuplicatePair, ...] = ()
    if None in keys or known is None:
        pairs = find_duplicates([scan.fingerprint for scan in scans], progress)
        keys = _joined(keys, connected_groups(len(scans), pairs))
    groups = tuple(key for key in keys if key is not None)
    group_indices = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    fold_of_scan = tuple(assign_folds(labels, group_indices, folds, seed).tolist())
    if known and folds == TABLE_FOLDS:
        fold_of_scan = _table_folds(known, groups)
    return Grouping(groups, fold_of_scan, origin, known is not None, _conflicts(scans, pairs), notes)


def _conflicts(scans: Sequence[HashedScan], pairs: Sequence[DuplicatePair]) -> tuple[tuple[str, str], ...]:
    """List duplicates with different classes."""
    first_with: dict[str, int] = {}
    equal = [(first_with.setdefault(scan.fingerprint.pixel_hash, index), index) for index, scan in enumerate(scans)]
    copies = [(pair.first, pair.second) for pair in pairs if pair.kind is not DuplicateKind.SIMILAR]
    return tuple(
        (scans[one].found.source, scans[other].found.source)
        for one, other in sorted({*equal, *copies})
        if scans[one].found.label != scans[other].found.label
    )


def _hash(scan: ScanFile) -> HashedScan | str:
    try:
        scan.source.encode("utf-8")
        read = read_scan(scan.path)
    except UnicodeEncodeError:
        return f"{scan.path!a}: must have a name in UTF-8, and has not; rename it"
    except UnreadableScanError as error:
        return str(error)
    return HashedScan(scan, compute_fingerprint(read), perceptual_hash(read.pixels))


def _joined(keys: Sequence[str | None], copies: Groups) -> list[str | None]:
    """Join scans with a common key and duplicates, and name each group after its first key or scan."""
    first_with: dict[tuple[str, object], int] = {}
    edges = [
        (first_with.setdefault(link, index), index)
        for index, (key, copy) in enumerate(zip(keys, copies.tolist(), strict=True))
        for link in (("copy", copy), *([("key", key)] if key else []))
    ]
    groups = connected_components(len(keys), edges).tolist()
    names: dict[int, str] = {}
    for group, key in zip(groups, keys, strict=True):
        if key:
            names.setdefault(group, key)
    for index, group in enumerate(groups):
        names.setdefault(group, f"found-{index:05d}")
    return [names[group] for group in groups]


def _table_folds(known: Sequence[KnownScan | None], groups: Sequence[str]) -> tuple[int, ...]:
    """Use the table's folds; distribute groups without a fold evenly."""
    fold_of = {group: scan.fold for scan, group in zip(reversed(known), reversed(groups), strict=True) if scan}
    without_fold = sorted(set(groups) - set(fold_of))
    fold_of |= {group: index % TABLE_FOLDS for index, group in enumerate(without_fold)}
    return tuple(fold_of[group] for group in groups)
