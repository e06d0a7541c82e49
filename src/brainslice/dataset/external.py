"""Preparation of an external set with the folders ``yes`` and ``no``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brainslice.dataset.discovery.folders import find_scans
from brainslice.dataset.discovery.install import install_scan, open_source, refuse_overlap, unused_name
from brainslice.dataset.duplicates.overlap import BINARY_LABELS
from brainslice.dataset.splits.groups import hash_scan
from brainslice.errors import DatasetError
from brainslice.files import atomic_folder
from brainslice.paths import project_lock
from brainslice.progress import Progress, silent

_FOLDER: Final = ("data", "external_navoneel")


@dataclass(frozen=True, slots=True)
class ExternalSet:
    """A prepared external set.

    Attributes:
        folder: The folder that holds ``yes`` and ``no``.
        tumours: Number of scans in ``yes``.
        healthy: Number of scans in ``no``.
        unreadable: Source and reason of each file left out.
        notes: Lines on the files passed over.
    """

    folder: Path
    tumours: int
    healthy: int
    unreadable: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """The numbers of scans in a line."""
        left_out = f"; {len(self.unreadable):,} unreadable files were left out" if self.unreadable else ""
        return f"{self.tumours + self.healthy:,} scans ({self.tumours:,} yes, {self.healthy:,} no){left_out}"


def prepare_external(
    source: Path, project_root: Path, *, copy: bool = False, progress: Progress = silent
) -> ExternalSet:
    """Prepare a set of the folders ``yes`` and ``no`` as ``data/external_navoneel/{yes,no}``.

    Folders of other names are passed over: the published archive holds a copy of everything.

    Args:
        source: A folder or an archive.
        project_root: The project.
        copy: Whether to copy the scans; otherwise they are linked where the system can.
        progress: Called with step, done and total.

    Raises:
        DatasetError: One of the two folders is missing, empty, or holds nothing readable.
        UsageError: Another run is preparing the same project.
        ResourceError: The disk is full.
    """
    with project_lock(project_root, "preparing data"):
        return _prepare(source, project_root, progress, copy=copy)


def _prepare(source: Path, project_root: Path, progress: Progress, *, copy: bool) -> ExternalSet:
    folder = project_root.joinpath(*_FOLDER)
    found = find_scans(open_source(source, project_root), BINARY_LABELS, ignore_others=True)
    refuse_overlap(found.root, [scan.path for scan in found.scans], [folder])
    scans, unreadable = hash_scan(found.scans, progress)
    count = Counter(scan.found.label for scan in scans)
    for label in BINARY_LABELS.names:
        if not count[label]:
            msg = f"{found.root}: none of the files in {label} can be read; download the set again"
            raise DatasetError(msg)
    taken: dict[str, set[str]] = {}
    with atomic_folder(folder) as staging:
        for scan in scans:
            label = scan.found.label
            (staging / label).mkdir(exist_ok=True)
            name = unused_name(scan.found.path.name, taken.setdefault(label, set()))
            install_scan(scan.found.path, staging / label / name, copy=copy)
    return ExternalSet(folder, count["yes"], count["no"], unreadable, found.notes)
