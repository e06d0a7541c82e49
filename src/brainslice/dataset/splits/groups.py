"""Which scans are related: known from a table where there is one, found by looking for copies where not."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from brainslice.arrays import Groups, Labels
from brainslice.dataset.discovery.folders import ScanFile
from brainslice.dataset.duplicates.fingerprint import Fingerprint, compute_fingerprint
from brainslice.dataset.duplicates.near_duplicates import connected_groups, find_duplicates
from brainslice.dataset.splits.known_datasets import TABLE_FOLDS, KnownScan, perceptual_hash, recognise_dataset
from brainslice.dataset.splits.split import assign_folds
from brainslice.errors import DatasetError, UnreadableScanError
from brainslice.progress import Progress
from brainslice.scan.read import read_scan

GROUPS_FILE: Final = "groups.csv"
"""A table beside the class folders, with the columns path and group, of those who know their patients."""

_BLOCK: Final = 128


@dataclass(frozen=True, slots=True, eq=False)
class HashedScan:
    """A scan that could be read, and what is remembered of its picture."""

    found: ScanFile
    fingerprint: Fingerprint
    perceptual_hash: int


@dataclass(frozen=True, slots=True)
class Grouping:
    """Who belongs together.

    Attributes:
        groups: A name for each scan's group.
        folds: A fold for each scan; groups never cross.
        origin: ``table`` where a list of patients was used, ``audit`` where copies were looked for only.
        known_scans: Whether this is the public set whose patients are known.
    """

    groups: tuple[str, ...]
    folds: tuple[int, ...]
    origin: str
    known_scans: bool


def hash_scan(
    scans: Sequence[ScanFile], progress: Progress
) -> tuple[tuple[HashedScan, ...], tuple[tuple[str, str], ...]]:
    """Read every scan once.

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
    root: Path, scans: Sequence[HashedScan], labels: Labels, folds: int, seed: int, progress: Progress
) -> Grouping:
    """Find out which scans are related, and deal them out to folds.

    The public set with known patients is recognised and taken as its table has it. Otherwise copies are looked
    for, and ``groups.csv`` adds whom the owner of the set knows to be one patient.

    Args:
        root: The set's folder.
        scans: Its scans.
        labels: Their classes ``(n,)``.
        folds: How many folds.
        seed: Decides between equals.
        progress: Hears how far it is.

    Raises:
        DatasetError: ``groups.csv`` is no such table, or there are fewer groups than folds.
    """
    known = recognise_dataset([(scan.found.source, scan.perceptual_hash) for scan in scans])
    keys = [scan.group if scan else None for scan in known] if known else _own_groups(root, scans)
    if None in keys or known is None:
        twins = find_duplicates([scan.fingerprint for scan in scans], progress)
        keys = _joined(keys, connected_groups(len(scans), twins))
    groups = tuple(key for key in keys if key is not None)
    places = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    dealt = tuple(assign_folds(labels, places, folds, seed).tolist())
    if known and folds == TABLE_FOLDS:
        dealt = _table_folds(known, groups)
    has_table = known is not None or (root / GROUPS_FILE).is_file()
    return Grouping(groups, dealt, "table" if has_table else "audit", known_scans=known is not None)


def _look(scan: ScanFile) -> HashedScan | str:
    try:
        scan.source.encode("utf-8")
        read = read_scan(scan.path)
    except UnicodeEncodeError:
        return f"{scan.path!a}: must have a name in UTF-8, and has not; rename it"
    except UnreadableScanError as error:
        return str(error)
    return HashedScan(scan, compute_fingerprint(read), perceptual_hash(read.pixels))


def _own_groups(root: Path, scans: Sequence[HashedScan]) -> list[str | None]:
    path = root / GROUPS_FILE
    if not path.is_file():
        return [None] * len(scans)
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"))))
        table = {row["path"]: row["group"].strip() for row in rows}
    except (KeyError, AttributeError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{path}: must be a table in UTF-8 with the columns path and group; mend it or move it away"
        raise DatasetError(msg) from error
    return [table.get(scan.found.source) or None for scan in scans]


def _joined(keys: Sequence[str | None], copies: Groups) -> list[str | None]:
    """Join scans that share a key and scans that are copies, and name each group after its first key or scan."""
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
    """Take the table's folds; the few groups it does not know are dealt out in turn."""
    fold_of = {group: scan.fold for scan, group in zip(reversed(known), reversed(groups), strict=True) if scan}
    strangers = sorted(set(groups) - set(fold_of))
    fold_of |= {group: turn % TABLE_FOLDS for turn, group in enumerate(strangers)}
    return tuple(fold_of[group] for group in groups)
