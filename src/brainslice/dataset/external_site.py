"""Scans of an external site, without copies and without training scans of the model."""

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
from brainslice.preprocessing import Recipe
from brainslice.progress import Progress, silent
from brainslice.scan import read_scan


@dataclass(frozen=True, slots=True)
class SiteScan:
    """A scan of an external site.

    Attributes:
        path: The file.
        pixel_hash: Hash of the decoded pixels, in hexadecimal.
        label: The class of its folder: ``yes`` or ``no``, or a class of the model.
        tumour: Whether that class is a tumour.
        group: Number of its group; scans of one group may show one head.
    """

    path: Path
    pixel_hash: str
    label: str
    tumour: bool
    group: int


@dataclass(frozen=True, slots=True)
class ExternalSite:
    """The scans of an external site that can be scored, and counts of those left out.

    Attributes:
        name: The folder's name.
        labels: The classes of its folders.
        scans: The scans, each image once.
        files: Number of readable files.
        copies: Number of files that repeat an image.
        overlapping: Numbers of tumours and of healthy scans left out as copies of training scans; None where the
            training scans are unknown.
        conflicts: Number of images in folders of both kinds, left out.
        unreadable: Source and reason of each unreadable file.
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
        """Whether the classes are tumour and healthy only."""
        return self.labels == BINARY_LABELS

    def summary_lines(self) -> tuple[str, ...]:
        """Describe what is scored and what is left out."""
        tumours = int(self.tumours.sum())
        groups = len(np.unique(self.groups))
        kinds = f"{tumours:,} tumour, {len(self.scans) - tumours:,} healthy; {groups:,} groups"
        repeated = f"{self.files:,} files; {self.copies:,} files repeat a picture"
        lines = [f"{self.name}: {len(self.scans):,} pictures ({kinds}) of {repeated}"]
        if self.overlapping is None:
            lines.append("duplicates of training scans were not left out: the training scans are not available")
        elif sum(self.overlapping):
            lines.append(
                f"left out as copies of training or validation scans: {self.overlapping[0]:,} tumour, "
                f"{self.overlapping[1]:,} healthy"
            )
        if self.conflicts:
            lines.append(f"left out, in folders of both kinds: {self.conflicts:,}")
        return tuple(lines)


@dataclass(frozen=True, slots=True, eq=False)
class SourceData:
    """The scans that trained a model or chose its settings.

    Attributes:
        manifest: The prepared set.
        rows: Indices of the training and validation records.
        cache: The folder of cached overlaps.
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
    """Read the folder of an external site without copies and training scans.

    Copies count once; scans that may be neighbouring slices all count, as one group.

    Args:
        folder: The folder with ``yes`` and ``no``, or with the classes of the model.
        labels: The classes of the model.
        source: Its training scans; None where they are unknown.
        progress: Called with step, done and total.

    Raises:
        UsageError: No class of the model is healthy.
        DatasetError: There are no such folders, or no scans of one kind are left.
    """
    _ = labels.healthy_index
    site_labels, found = find_site_scans(folder, labels)
    hashed, unreadable = hash_scan(found, progress)
    known = _known(hashed, source, progress)
    count = _Count()
    scans = _unique_scans(hashed, site_labels, known, count, progress)
    if len({scan.tumour for scan in scans}) < 2:  # noqa: PLR2004 - tumours and healthy heads
        msg = (
            f"{folder}: needs unseen tumours and unseen healthy scans, got {len(scans)} of one kind after "
            f"{sum(count.known)} copies of training scans were left out; train with --exclude-overlap-with {folder}"
        )
        raise DatasetError(msg)
    overlapping = None if source is None else (count.known[0], count.known[1])
    name = folder.resolve().name
    return ExternalSite(
        name, site_labels, tuple(scans), len(hashed), count.copies, overlapping, count.conflicts, unreadable
    )


def site_inputs(site: ExternalSite, recipe: Recipe, progress: Progress = silent) -> InputBatch:
    """Preprocess a site's scans to network input ``(n, h, w)``."""
    inputs = []
    for scan in site.scans:
        inputs.append(recipe(read_scan(scan.path)))
        progress("decoding the site's scans", len(inputs), len(site.scans))
    return np.stack(inputs)


def _known(hashed: Sequence[HashedScan], source: SourceData | None, progress: Progress) -> frozenset[int]:
    if source is None:
        return frozenset()
    rows = frozenset(source.rows.tolist())
    images = find_overlap_pairs(source.manifest, hashed, source.cache, progress)
    return frozenset(each.scan for each in images if each.record in rows)


def _unique_scans(
    hashed: Sequence[HashedScan], labels: LabelSet, known: frozenset[int], count: _Count, progress: Progress
) -> list[SiteScan]:
    pairs = find_duplicates([scan.fingerprint for scan in hashed], progress)
    groups = connected_groups(len(hashed), pairs)
    images = connected_groups(len(hashed), [pair for pair in pairs if pair.kind != DuplicateKind.SIMILAR])
    scans = []
    for image in range(int(images.max(initial=-1)) + 1):
        members = np.flatnonzero(images == image).tolist()
        count.copies += len(members) - 1
        kinds = {_is_tumour(hashed[member].found, labels) for member in members}
        if len(kinds) > 1:
            count.conflicts += 1
        elif not known.isdisjoint(members):
            count.known[0 if True in kinds else 1] += 1
        else:
            first = hashed[members[0]]
            tumour = _is_tumour(first.found, labels)
            group = int(groups[members[0]])
            scans.append(SiteScan(first.found.path, first.fingerprint.pixel_hash, first.found.label, tumour, group))
    return scans


def _is_tumour(found: ScanFile, labels: LabelSet) -> bool:
    return found.label != labels.healthy
