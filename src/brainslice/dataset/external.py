"""Another site's set of tumours and healthy heads, laid out beside the main one."""

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

_PLACE: Final = ("data", "external_navoneel")


@dataclass(frozen=True, slots=True)
class ExternalSet:
    """What laying out an external set came to.

    Attributes:
        folder: Where it lies; holds ``yes`` and ``no``.
        tumours: Scans in ``yes``.
        healthy: Scans in ``no``.
        unreadable: The source and the fault of each file that was left out.
        notes: What was passed over, a line each.
    """

    folder: Path
    tumours: int
    healthy: int
    unreadable: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """Say in a line what there is now."""
        left_out = f"; {len(self.unreadable):,} unreadable files were left out" if self.unreadable else ""
        return f"{self.tumours + self.healthy:,} scans ({self.tumours:,} yes, {self.healthy:,} no){left_out}"


def prepare_external(
    source: Path, project_root: Path, *, copy: bool = False, progress: Progress = silent
) -> ExternalSet:
    """Lay out a set of the folders ``yes`` and ``no`` as ``data/external_navoneel/{yes,no}``.

    Folders of other names are passed over: the published archive holds everything twice.

    Args:
        source: A folder or an archive.
        project_root: The project.
        copy: Whether to copy the scans; otherwise they are linked to where the system can.
        progress: Hears how far it is.

    Raises:
        DatasetError: One of the two folders is missing, empty, or holds nothing readable.
        UsageError: Another run is preparing the same project.
        ResourceError: The disk is full.
    """
    with project_lock(project_root, "preparing data"):
        return _prepare(source, project_root, progress, copy=copy)


def _prepare(source: Path, project_root: Path, progress: Progress, *, copy: bool) -> ExternalSet:
    folder = project_root.joinpath(*_PLACE)
    found = find_scans(open_source(source, project_root), BINARY_LABELS, ignore_others=True)
    refuse_overlap(found.root, [scan.path for scan in found.scans], [folder])
    seen, unreadable = hash_scan(found.scans, progress)
    count = Counter(scan.found.label for scan in seen)
    for label in BINARY_LABELS.names:
        if not count[label]:
            msg = f"{found.root}: none of the files in {label} can be read; download the set again"
            raise DatasetError(msg)
    taken: dict[str, set[str]] = {}
    with atomic_folder(folder) as staging:
        for scan in seen:
            label = scan.found.label
            (staging / label).mkdir(exist_ok=True)
            name = unused_name(scan.found.path.name, taken.setdefault(label, set()))
            install_scan(scan.found.path, staging / label / name, copy=copy)
    return ExternalSet(folder, count["yes"], count["no"], unreadable, found.notes)
