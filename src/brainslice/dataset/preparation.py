"""A downloaded folder or archive becomes ``data/``: classes named, copies grouped, splits made, all or nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from brainslice.dataset.discovery.folders import ScanFolder, find_scans
from brainslice.dataset.discovery.install import install_scan, open_source, refuse_overlap, replace_folders, unused_name
from brainslice.dataset.manifest import DATASET_FILE, MANIFEST_FILE, SPLITS, Manifest, Record
from brainslice.dataset.splits.excluded import EXCLUDED_FILE
from brainslice.dataset.splits.groups import Grouping, HashedScan, group_scans, hash_scan
from brainslice.dataset.splits.known_datasets import NICKPARVAR, find_masks
from brainslice.dataset.splits.split import Protocol, automatic_split, make_split, split_validation
from brainslice.errors import DatasetError, UsageError
from brainslice.labels import LabelSet
from brainslice.paths import project_lock
from brainslice.progress import Progress, silent

DATA_FOLDER: Final = "data"
"""Where a prepared set lies in a project."""

_FEWEST_FOLDS: Final = 3
_LARGEST_SHARE: Final = 0.5
_MOST: Final = 0.5


@dataclass(frozen=True, slots=True)
class PreparationOptions:
    """What can be chosen about preparing a set.

    Attributes:
        val_size: The share of the training scans that validates, where the set has no validation folder.
        copy: Whether to copy the scans; otherwise they are linked to where the system can.
        seed: Decides which groups validate, and between equal folds.
        folds: How many parts the group-clean protocol deals the set into.
        labels: The classes.
    """

    val_size: float = 0.1
    copy: bool = False
    seed: int = 42
    folds: int = 5
    labels: LabelSet = field(default_factory=LabelSet)

    def __post_init__(self) -> None:
        """Refuse choices that leave nobody to train, to choose, or to test."""
        if not 0 < self.val_size <= _LARGEST_SHARE:
            msg = f"the validation share must be above 0 and at most {_LARGEST_SHARE}, got {self.val_size}"
            raise UsageError(msg)
        if self.folds < _FEWEST_FOLDS:
            msg = f"folds must be at least {_FEWEST_FOLDS} (train, validate, test), got {self.folds}"
            raise UsageError(msg)


@dataclass(frozen=True, slots=True)
class PreparedDataset:
    """What preparing a set came to.

    Attributes:
        manifest: The set, as it lies in the project.
        unreadable: The source and the fault of each file that was left out.
        linked: Whether the files are links.
    """

    manifest: Manifest
    unreadable: tuple[tuple[str, str], ...]
    linked: bool

    def summary_lines(self) -> list[str]:
        """Say in a few lines what there is now, and whether the set's own split can be trusted."""
        manifest, records = self.manifest, self.manifest.records
        origin = "known patients and pictures" if manifest.groups_from == "table" else "copies found"
        groups = len({record.group for record in records})
        lines = [f"{manifest.name}: {len(records):,} scans in {groups:,} groups of relatives ({origin})"]
        for split in SPLITS:
            count = Counter(record.label for record in records if record.split == split)
            classes = ", ".join(f"{name} {count[name]:,}" for name in manifest.labels.names)
            lines.append(f"{split}: {sum(count.values()):,} ({classes})")
        lines.append(_leak_line(manifest))
        place = "links to the source" if self.linked else "copies of the source"
        lines.append(f"{manifest.root}: {place}; tumour outlines: {manifest.masks or 'none'}")
        if self.unreadable:
            lines.append(f"{len(self.unreadable):,} unreadable files were left out")
        return lines


def prepare_dataset(
    source: Path, project_root: Path, options: PreparationOptions | None = None, progress: Progress = silent
) -> PreparedDataset:
    """Lay out a data set for training.

    The result is ``data/{train,val,test}/<class>/*`` with ``manifest.csv`` and ``dataset.json``. Groups and
    folds are those of known patients where the set is recognised or brings a ``groups.csv``; otherwise copies are
    looked for. All is made aside and put in place at once; what else lies in ``data/`` stays.

    Args:
        source: A folder or an archive, with the set's own splits or one root of class folders.
        project_root: The project that gets the ``data`` folder.
        options: What can be chosen; the defaults where None.
        progress: Hears how far it is.

    Raises:
        DatasetError: There are no class folders, a class is missing or empty, a folder names no class, or the
            archive is unsafe. An older ``data`` stays as it was.
        UsageError: Another run is preparing the same project.
        ResourceError: The disk is full.
    """
    with project_lock(project_root, "preparing data"):
        return _prepare(source, project_root, options or PreparationOptions(), progress)


def _prepare(source: Path, project_root: Path, options: PreparationOptions, progress: Progress) -> PreparedDataset:
    data = project_root / DATA_FOLDER
    found = find_scans(open_source(source, project_root), options.labels)
    refuse_overlap(found.root, [scan.path for scan in found.scans], [data / split for split in SPLITS])
    seen, unreadable = hash_scan(found.scans, progress)
    _refuse_lost_classes(found, seen, options.labels)
    labels = np.array([options.labels.index(scan.found.label) for scan in seen], dtype=np.int64)
    grouping = group_scans(found.root, seen, labels, options.folds, options.seed, progress)
    splits = _splits(found, seen, labels, grouping, options)
    records = _records(seen, grouping, splits)
    name = _name(found.root, recognised=grouping.known_scans)
    masks = find_masks(found.root, name, [record.source for record in records])
    manifest = Manifest(
        root=data,
        name=name,
        labels=options.labels,
        groups_from=grouping.origin,
        official_split=found.has_splits,
        records=records,
        masks=str(masks) if masks else None,
    )
    linked = _place(manifest, seen, progress, copy=options.copy)
    return PreparedDataset(manifest, unreadable, linked)


def _splits(
    found: ScanFolder, seen: Sequence[HashedScan], labels: np.ndarray, grouping: Grouping, options: PreparationOptions
) -> list[str]:
    groups = np.unique(grouping.groups, return_inverse=True)[1].astype(np.int64)
    if not found.has_splits:
        return automatic_split(labels, groups, options.seed)
    splits = np.array([scan.found.split or "train" for scan in seen])
    train = np.flatnonzero(splits == "train")
    if not (splits == "val").any():
        chosen = split_validation(labels[train], _kin(splits, groups)[train], options.val_size, options.seed)
        splits[train[chosen]] = "val"
    return [str(split) for split in splits]


def _kin(splits: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Say which scans validate together: what chooses a model must be drawn as what judges it.

    Where most test scans have relatives in training, unrelated validation scans would stop training early and fit a
    temperature for another question; single scans are drawn then, as such sets are used, and all of it is leaky.
    """
    crossing = np.isin(groups[splits == "test"], groups[splits == "train"])
    return np.arange(len(groups)) if crossing.mean() > _MOST else groups


def _records(seen: Sequence[HashedScan], grouping: Grouping, splits: Sequence[str]) -> tuple[Record, ...]:
    taken: dict[str, set[str]] = {}
    records = []
    for scan, group, fold, split in zip(seen, grouping.groups, grouping.folds, splits, strict=True):
        folder = f"{split}/{scan.found.label}"
        name = unused_name(scan.found.path.name, taken.setdefault(folder, set()))
        records.append(
            Record(
                path=f"{folder}/{name}",
                sha256=scan.fingerprint.sha256,
                pixel_hash=scan.fingerprint.pixel_hash,
                label=scan.found.label,
                group=group,
                split=split,
                fold=fold,
                source=scan.found.source,
            )
        )
    return tuple(records)


def _place(manifest: Manifest, seen: Sequence[HashedScan], progress: Progress, *, copy: bool) -> bool:
    linked = True
    with replace_folders(manifest.root, [*SPLITS, MANIFEST_FILE, EXCLUDED_FILE], DATASET_FILE) as staging:
        for done, (scan, record) in enumerate(zip(seen, manifest.records, strict=True), start=1):
            target = staging / record.path
            target.parent.mkdir(parents=True, exist_ok=True)
            linked &= install_scan(scan.found.path, target, copy=copy)
            progress("placing scans", done, len(seen))
        manifest.write(staging)
    return linked


def _refuse_lost_classes(found: ScanFolder, seen: Sequence[HashedScan], labels: LabelSet) -> None:
    """Refuse a set of which unreadable files were all there was of a class."""
    wanted = {(scan.split, scan.label) for scan in found.scans}
    lost = wanted - {(scan.found.split, scan.found.label) for scan in seen}
    for split, label in sorted(lost, key=lambda part: (part[0] or "", labels.index(part[1]))):
        place = f"{found.root} ({split})" if split else f"{found.root}"
        msg = f"{place}: none of the files of class {label} can be read; download the set again"
        raise DatasetError(msg)


def _name(root: Path, *, recognised: bool) -> str:
    """Take the name the set gives itself, so that drawn heads are never taken for patients."""
    if recognised:
        return NICKPARVAR
    try:
        said = json.loads((root / DATASET_FILE).read_bytes())
    except (OSError, ValueError, RecursionError):
        said = None
    given = said.get("name") if isinstance(said, dict) else None
    name = given if isinstance(given, str) and given.isprintable() and given else root.resolve().name
    # Another set by that name would be taken for the one whose masks are in the table.
    return name if name.casefold() != NICKPARVAR else f"{name} (not recognised)"


def _leak_line(manifest: Manifest) -> str:
    if not manifest.official_split:
        return "the source has no test folder: 80 % train, 10 % val, 10 % test, by groups"
    split = make_split(manifest, Protocol.OFFICIAL)
    return f"official split: {split.crossing:,} of {len(split.test):,} test scans have relatives in train or val"
