"""Another site's scans: each picture once, and none that the model was made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from brainslice.arrays import Decisions, Groups, InputBatch
from brainslice.dataset.discovery.patient_folders import ScanFile
from brainslice.dataset.duplicates.near_duplicates import DuplicateKind, connected_groups, find_duplicates
from brainslice.dataset.duplicates.overlap import BINARY_LABELS, find_overlap_pairs, find_site_scans
from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.groups import HashedScan, hash_scan
from brainslice.dataset.splits.split import Indices
from brainslice.errors import DatasetError
from brainslice.labels import LabelSet
from brainslice.preprocessing.recipe import Recipe
from brainslice.progress import Progress, silent
from brainslice.scan.read import read_scan


@dataclass(frozen=True, slots=True)
class SiteScan:
    """One picture of another site.

    Attributes:
        path: A file that shows it.
        pixel_hash: Hash of the decoded picture, in hexadecimal.
        label: The class that its folder names: ``yes`` or ``no``, or a class of the model.
        tumour: Whether that class is a tumour.
        group: Scans that share it may show one head.
    """

    path: Path
    pixel_hash: str
    label: str
    tumour: bool
    group: int


@dataclass(frozen=True, slots=True)
class ExternalSite:
    """What can be scored of another site, and what was left out.

    Attributes:
        name: The folder's name.
        labels: The classes that its folders tell.
        scans: Each picture once.
        files: How many files could be read.
        copies: How many of them repeat the picture of another.
        overlapping: How many tumours and healthy pictures the model was made from, left out; None where nobody
            knows what it was made from.
        conflicts: Pictures that lie in both kinds of folders, and are left out.
        unreadable: The source and the fault of each file that could not be read.
    """

    name: str
    labels: LabelSet
    scans: tuple[SiteScan, ...]
    files: int
    copies: int
    overlapping: tuple[int, int] | None
    conflicts: int
    unreadable: tuple[tuple[str, str], ...]

    @property
    def tumours(self) -> Decisions:
        """Whether each scan is a tumour ``(n,)``."""
        return np.array([scan.tumour for scan in self.scans], dtype=np.bool_)

    @property
    def groups(self) -> Groups:
        """The group of each scan ``(n,)``."""
        return np.array([scan.group for scan in self.scans], dtype=np.int64)

    @property
    def binary(self) -> bool:
        """Whether the folders tell no more than tumour or healthy."""
        return self.labels == BINARY_LABELS

    def summary_lines(self) -> tuple[str, ...]:
        """Say what is scored and what is not."""
        tumours = int(self.tumours.sum())
        groups = len(np.unique(self.groups))
        kinds = f"{tumours:,} tumour, {len(self.scans) - tumours:,} healthy; {groups:,} groups"
        repeated = f"{self.files:,} files; {self.copies:,} files repeat a picture"
        lines = [f"{self.name}: {len(self.scans):,} pictures ({kinds}) of {repeated}"]
        if self.overlapping is None:
            lines.append("nobody can say which of them the model was made from: its training scans are not here")
        elif sum(self.overlapping):
            lines.append(
                f"left out, since copies of them trained or chose the model: {self.overlapping[0]:,} tumour, "
                f"{self.overlapping[1]:,} healthy"
            )
        if self.conflicts:
            lines.append(f"left out, since they lie in folders of both kinds: {self.conflicts:,}")
        return tuple(lines)


@dataclass(frozen=True, slots=True, eq=False)
class SourceData:
    """What a model was made from.

    Attributes:
        manifest: The prepared set.
        rows: Places of the records that trained or chose the model.
        cache: The folder that keeps which pictures two sets share.
    """

    manifest: Manifest
    rows: Indices
    cache: Path


@dataclass(slots=True)
class _Count:
    copies: int = 0
    conflicts: int = 0
    known: list[int] = field(default_factory=lambda: [0, 0])


def read_external_site(
    folder: Path, labels: LabelSet, source: SourceData | None, progress: Progress = silent
) -> ExternalSite:
    """Read another site's folder, and leave out what the model has seen.

    Files that surely show one picture count once; those that may be neighbouring slices all count, in one group.

    Args:
        folder: Holds ``yes`` and ``no``, or the classes of the model.
        labels: The classes of the model.
        source: What it was made from; None where that is not known.
        progress: Hears how far it is.

    Raises:
        UsageError: No class of the model is healthy.
        DatasetError: There are no such folders, or nothing is left of one of the two kinds.
    """
    _ = labels.healthy_index
    told, found = find_site_scans(folder, labels)
    seen, unreadable = hash_scan(found, progress)
    known = _known(seen, source, progress)
    count = _Count()
    scans = _each_picture_once(seen, told, known, count, progress)
    if len({scan.tumour for scan in scans}) < 2:  # noqa: PLR2004 - tumours and healthy heads
        msg = (
            f"{folder}: needs unseen tumours and unseen healthy scans, got {len(scans)} of one kind after "
            f"{sum(count.known)} copies of training scans were left out; train with --exclude-overlap-with {folder}"
        )
        raise DatasetError(msg)
    told_known = None if source is None else (count.known[0], count.known[1])
    name = folder.resolve().name
    return ExternalSite(name, told, tuple(scans), len(seen), count.copies, told_known, count.conflicts, unreadable)


def site_inputs(site: ExternalSite, recipe: Recipe, progress: Progress = silent) -> InputBatch:
    """Turn a site's scans into network input ``(n, h, w)``, in their order."""
    inputs = []
    for scan in site.scans:
        inputs.append(recipe(read_scan(scan.path)))
        progress("decoding the site's scans", len(inputs), len(site.scans))
    return np.stack(inputs)


def _known(seen: Sequence[HashedScan], source: SourceData | None, progress: Progress) -> frozenset[int]:
    if source is None:
        return frozenset()
    rows = frozenset(source.rows.tolist())
    pictures = find_overlap_pairs(source.manifest, seen, source.cache, progress)
    return frozenset(each.scan for each in pictures if each.record in rows)


def _each_picture_once(
    seen: Sequence[HashedScan], told: LabelSet, known: frozenset[int], count: _Count, progress: Progress
) -> list[SiteScan]:
    twins = find_duplicates([scan.fingerprint for scan in seen], progress)
    groups = connected_groups(len(seen), twins)
    pictures = connected_groups(len(seen), [twin for twin in twins if twin.kind != DuplicateKind.SIMILAR])
    scans = []
    for picture in range(int(pictures.max(initial=-1)) + 1):
        places = np.flatnonzero(pictures == picture).tolist()
        count.copies += len(places) - 1
        kinds = {_is_tumour(seen[place].found, told) for place in places}
        if len(kinds) > 1:
            count.conflicts += 1
        elif not known.isdisjoint(places):
            count.known[0 if True in kinds else 1] += 1
        else:
            first = seen[places[0]]
            tumour = _is_tumour(first.found, told)
            group = int(groups[places[0]])
            scans.append(SiteScan(first.found.path, first.fingerprint.pixel_hash, first.found.label, tumour, group))
    return scans


def _is_tumour(found: ScanFile, told: LabelSet) -> bool:
    return found.label != told.healthy
