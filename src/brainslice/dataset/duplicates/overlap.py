"""Overlap of a prepared set with another set, and its exclusion from training."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from brainslice.dataset.discovery.folders import find_scans
from brainslice.dataset.discovery.patient_folders import ScanFile
from brainslice.dataset.duplicates.fingerprint import Fingerprint, compute_fingerprint
from brainslice.dataset.duplicates.near_duplicates import DuplicateKind, DuplicatePair, find_duplicates
from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.excluded import ExcludedScans
from brainslice.dataset.splits.groups import HashedScan, hash_scan
from brainslice.errors import DatasetError, UnreadableScanError
from brainslice.files import write_json
from brainslice.labels import LabelSet
from brainslice.progress import Progress, map_in_threads, silent
from brainslice.scan import read_scan

BINARY_LABELS: Final = LabelSet(("yes", "no"), healthy="no")
"""The folders of sets with the classes tumour and healthy only."""

_VERSION: Final = "shared pictures 2"


@dataclass(frozen=True, slots=True)
class OverlapPair:
    """A scan of another set with a duplicate in the prepared set.

    Attributes:
        scan: Index of the other set's scan.
        record: Index of the record in the prepared set.
        kind: The kind of duplicate.
        correlation: Correlation of the fine structure; 1 for exact copies.
    """

    scan: int
    record: int
    kind: DuplicateKind
    correlation: float


def find_site_scans(folder: Path, labels: LabelSet) -> tuple[LabelSet, tuple[ScanFile, ...]]:
    """Find the scans of another site's folder: ``yes`` and ``no``, or the classes of a model.

    Args:
        folder: The folder.
        labels: The classes of the model.

    Returns:
        The classes of the folders, and the scans.

    Raises:
        DatasetError: The folder holds neither.
    """
    try:
        return BINARY_LABELS, find_scans(folder, BINARY_LABELS, ignore_others=True).scans
    except DatasetError as binary:
        try:
            return labels, find_scans(folder, labels, ignore_others=True).scans
        except DatasetError as error:
            msg = f"{folder}: must hold the folders yes and no, or {', '.join(labels.names)} ({binary})"
            raise DatasetError(msg) from error


def find_overlap_pairs(
    manifest: Manifest, scans: Sequence[HashedScan], cache: Path, progress: Progress = silent
) -> tuple[OverlapPair, ...]:
    """Find the duplicates between two sets, or read them from the cache.

    Args:
        manifest: The prepared set.
        scans: The readable scans of the other set.
        cache: The folder of cached results.
        progress: Called with step, done and total.

    Returns:
        Each pair of a scan and a record that are duplicates.

    Raises:
        DatasetError: A scan of the prepared set is missing or unreadable.
        ResourceError: The disk is full.
    """
    path = cache / f"shared-{_key(manifest, scans)}.json"
    if path.is_file():
        return tuple(
            OverlapPair(row["scan"], row["record"], DuplicateKind(row["kind"]), row["correlation"])
            for row in json.loads(path.read_text(encoding="utf-8"))["pairs"]
        )
    ours = [scan.fingerprint for scan in scans]
    prepared = list(map_in_threads(_fingerprint, manifest.paths, "reading the prepared scans", progress))
    duplicates = find_duplicates(ours, progress, against=prepared)
    found = _expanded(
        duplicates, [scan.fingerprint.pixel_hash for scan in scans], [r.pixel_hash for r in manifest.records]
    )
    write_json(path, {"pairs": [asdict(each) for each in found]}, "overlap")
    return found


def exclude_overlap(manifest: Manifest, folder: Path, cache: Path, progress: Progress = silent) -> Manifest:
    """Exclude the groups of another set's scans from training and validation.

    Args:
        manifest: The prepared set; its files are not changed.
        folder: The other set.
        cache: The folder of cached results.
        progress: Called with step, done and total.

    Raises:
        DatasetError: The folder holds no classes, or a scan of the prepared set is missing.
    """
    _, found = find_site_scans(folder, manifest.labels)
    hashed, _ = hash_scan(found, progress)
    known = {each.record for each in find_overlap_pairs(manifest, hashed, cache, progress)}
    groups = {manifest.records[index].group for index in known}
    paths = sorted(record.path for record in manifest.records if record.group in groups)
    return replace(manifest, exclusion=ExcludedScans(folder.resolve().name, len(known), tuple(paths)))


def _key(manifest: Manifest, scans: Iterable[HashedScan]) -> str:
    digest = hashlib.sha256(_VERSION.encode())
    for name in (*(record.sha256 for record in manifest.records), "|", *(scan.fingerprint.sha256 for scan in scans)):
        digest.update(name.encode())
    return digest.hexdigest()[:32]


def _fingerprint(path: Path) -> Fingerprint:
    try:
        return compute_fingerprint(read_scan(path))
    except UnreadableScanError as error:
        msg = f"{error}; the set was readable when it was prepared, so run brainslice prepare again"
        raise DatasetError(msg) from error


def _expanded(
    duplicates: Iterable[DuplicatePair], scans: Sequence[str], records: Sequence[str]
) -> tuple[OverlapPair, ...]:
    """Extend pairs of unique images to all files."""
    with_pixels: dict[str, list[int]] = defaultdict(list)
    for index, pixels in enumerate(records):
        with_pixels[pixels].append(index)
    pairs: dict[tuple[str, str], DuplicatePair] = {}
    for pair in duplicates:
        if pair.second >= len(scans):
            pairs.setdefault((scans[pair.first], records[pair.second - len(scans)]), pair)
    found = []
    for scan, pixels in enumerate(scans):
        found += [OverlapPair(scan, record, DuplicateKind.SAME_PIXELS, 1.0) for record in with_pixels.get(pixels, ())]
        for (ours, theirs), pair in pairs.items():
            if ours == pixels != theirs:
                found += [OverlapPair(scan, index, pair.kind, pair.correlation) for index in with_pixels[theirs]]
    return tuple(found)
