"""Groups of related scans, from a table or by duplicate detection."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from brainslice.arrays import Groups, Labels
from brainslice.dataset.discovery.patient_folders import ScanFile
from brainslice.dataset.discovery.side_table import match_table
from brainslice.dataset.duplicates.fingerprint import Fingerprint, compute_fingerprint
from brainslice.dataset.duplicates.near_duplicates import (
    DuplicateKind,
    DuplicatePair,
    connected_groups,
    find_duplicates,
)
from brainslice.dataset.splits.known_datasets import TABLE_FOLDS, KnownScan, perceptual_hash, recognise_dataset
from brainslice.dataset.splits.split import assign_folds
from brainslice.errors import UnreadableScanError
from brainslice.progress import Progress
from brainslice.scan.read import read_scan

_BLOCK: Final = 128


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
        groups: A name for each scan's group.
        folds: A fold for each scan; groups never cross.
        origin: ``table`` where patients are known, ``audit`` where copies were looked for only.
        known_scans: Whether this is the public set whose patients are known.
        conflicts: Pairs of scans, by their sources, that show one picture under two classes.
        notes: What the table of patients came to, a line each.
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
        Those that can be read, in order; and the source and the fault of those that cannot.
    """
    seen: list[HashedScan] = []
    unreadable: list[tuple[str, str]] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(scans), _BLOCK):
            block = scans[start : start + _BLOCK]
            for scan, outcome in zip(block, pool.map(_look, block), strict=True):
                if isinstance(outcome, HashedScan):
                    seen.append(outcome)
                else:
                    unreadable.append((scan.source.encode("utf-8", "replace").decode(), outcome))
            progress("reading scans", start + len(block), len(scans))
    return tuple(seen), tuple(unreadable)


def group_scans(
    table: Path | None, scans: Sequence[HashedScan], labels: Labels, folds: int, seed: int, progress: Progress
) -> Grouping:
    """Group related scans, and assign groups to folds.

    The public set with known patients is recognised and taken as its own table has it. Otherwise copies are looked
    for, and scans of one patient (by the table, else by the folder inside the class) are joined.

    Args:
        table: A table with the columns path and group; None where there is none.
        scans: The scans.
        labels: Their classes ``(n,)``.
        folds: How many folds.
        seed: Decides between equals.
        progress: Called with how far it is.

    Raises:
        DatasetError: The table is none or matches nothing, or there are fewer groups than folds.
    """
    known = recognise_dataset([(scan.found.source, scan.perceptual_hash) for scan in scans])
    keys: list[str | None] = [scan.found.group for scan in scans]
    notes: tuple[str, ...] = ()
    if known is not None:
        keys = [scan.group if scan else None for scan in known]
        notes = (f"{table.name}: not used, since the patients of this set are known",) if table else ()
    elif table is not None:
        matched = match_table(table, ("group",), [scan.found.source for scan in scans])
        keys = [matched.rows.get(place, {}).get("group") or key for place, key in enumerate(keys)]
        notes = (matched.note,)
    origin = "table" if any(keys) else "audit"
    pairs: tuple[DuplicatePair, ...] = ()
    if None in keys or known is None:
        pairs = find_duplicates([scan.fingerprint for scan in scans], progress)
        keys = _joined(keys, connected_groups(len(scans), pairs))
    groups = tuple(key for key in keys if key is not None)
    places = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    dealt = tuple(assign_folds(labels, places, folds, seed).tolist())
    if known and folds == TABLE_FOLDS:
        dealt = _table_folds(known, groups)
    return Grouping(groups, dealt, origin, known is not None, _conflicts(scans, pairs), notes)


def _conflicts(scans: Sequence[HashedScan], pairs: Sequence[DuplicatePair]) -> tuple[tuple[str, str], ...]:
    """List duplicates with different classes."""
    first_with: dict[str, int] = {}
    equal = [(first_with.setdefault(scan.fingerprint.pixel_hash, place), place) for place, scan in enumerate(scans)]
    copies = [(pair.first, pair.second) for pair in pairs if pair.kind is not DuplicateKind.SIMILAR]
    return tuple(
        (scans[one].found.source, scans[other].found.source)
        for one, other in sorted({*equal, *copies})
        if scans[one].found.label != scans[other].found.label
    )


def _look(scan: ScanFile) -> HashedScan | str:
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
    parent = {place: place for place in range(len(keys))}

    def root_of(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    first_with: dict[tuple[str, object], int] = {}
    for place, (key, copy) in enumerate(zip(keys, copies.tolist(), strict=True)):
        for tie in (("copy", copy), *([("key", key)] if key else [])):
            one, other = sorted((root_of(place), root_of(first_with.setdefault(tie, place))))
            parent[other] = one
    names: dict[int, str] = {}
    for place, key in enumerate(keys):
        if key:
            names.setdefault(root_of(place), key)
    roots = [root_of(place) for place in range(len(keys))]
    return [names.setdefault(root, f"found-{root:05d}") for root in roots]


def _table_folds(known: Sequence[KnownScan | None], groups: Sequence[str]) -> tuple[int, ...]:
    """Use the table's folds; assign groups without fold in turn."""
    fold_of = {group: scan.fold for scan, group in zip(reversed(known), reversed(groups), strict=True) if scan}
    strangers = sorted(set(groups) - set(fold_of))
    fold_of |= {group: turn % TABLE_FOLDS for turn, group in enumerate(strangers)}
    return tuple(fold_of[group] for group in groups)
