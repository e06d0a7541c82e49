"""Preparation of a data set: class names, groups, splits and the ``data`` folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from brainslice.config import Config
from brainslice.dataset.discovery.folders import ScanFolder, find_scans
from brainslice.dataset.discovery.install import (
    UNPACKED_FOLDER,
    install_scan,
    open_source,
    refuse_overlap,
    replace_folders,
    unused_name,
)
from brainslice.dataset.manifest import DATASET_FILE, MANIFEST_FILE, SPLITS, Manifest, Record
from brainslice.dataset.prepared import PreparedDataset
from brainslice.dataset.splits.excluded import EXCLUDED_FILE
from brainslice.dataset.splits.groups import Grouping, HashedScan, group_scans, hash_scan
from brainslice.dataset.splits.known_datasets import NICKPARVAR, find_masks
from brainslice.dataset.splits.split import Protocol, Split, make_split, split_validation
from brainslice.errors import DatasetError, UsageError
from brainslice.labels import DEFAULT_HEALTHY, LabelSet, choose_healthy
from brainslice.paths import project_lock
from brainslice.progress import Progress, silent

DATA_FOLDER: Final = "data"
"""The folder of a prepared set in a project."""

_PROJECT_FOLDERS: Final = (
    *(f"{DATA_FOLDER}/{name}" for name in (*SPLITS, "cache", "external_navoneel")),
    *(UNPACKED_FOLDER, "downloads", "models", "reports", "logs"),
)
_MIN_FOLDS: Final = 3
_MAX_SHARE: Final = 0.5
_NAMED: Final = 3
_LEAKY_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class PreparationOptions:
    """Options of the preparation.

    Attributes:
        val_size: The share of the training scans that validates in the official split, where the set has a test
            folder and no validation folder; refused where it would have no effect. None for ``valid_split``.
        valid_split: The same, but not refused.
        copy: Whether to copy the scans; otherwise they are linked where the system can.
        seed: Seed of the random choices.
        folds: Number of folds of the clean protocol.
        test_fold: The test fold of the clean protocol; the next one validates.
        protocol: The protocol of the training.
        labels: The classes; taken from the names of the class folders where None.
        healthy: The healthy class where classes are taken from folders; see ``labels.choose_healthy``.
        labels_table: A table with the columns path and label, in place of class folders.
    """

    val_size: float | None = None
    valid_split: float = 0.1
    copy: bool = False
    seed: int = 42
    folds: int = 5
    test_fold: int = 0
    protocol: Protocol = Protocol.CLEAN
    labels: LabelSet | None = None
    healthy: str | None = DEFAULT_HEALTHY
    labels_table: Path | None = None

    def __post_init__(self) -> None:
        """Check shares and folds."""
        if self.val_size is not None and not 0 < self.val_size <= _MAX_SHARE:
            msg = f"the validation share must be above 0 and at most {_MAX_SHARE}, got {self.val_size}"
            raise UsageError(msg)
        if self.folds < _MIN_FOLDS:
            msg = f"folds must be at least {_MIN_FOLDS} (train, validate, test), got {self.folds}"
            raise UsageError(msg)
        if not 0 <= self.test_fold < self.folds:
            msg = f"data.test_fold must be from 0 to {self.folds - 1}, got {self.test_fold}"
            raise UsageError(msg)

    @classmethod
    def of(cls, config: Config, **others: Any) -> PreparationOptions:  # noqa: ANN401 - the other fields as they are
        """Make options from a configuration; default class names are replaced by those of the folders."""
        data = config.data
        names = None if data.class_names == LabelSet().names else data.class_names
        return cls(
            seed=config.seed,
            valid_split=data.valid_split,
            folds=data.folds,
            test_fold=data.test_fold,
            protocol=Protocol(data.protocol),
            labels=None if names is None else LabelSet(names, choose_healthy(names, data.healthy_class)),
            healthy=data.healthy_class,
            **others,
        )


def prepare_dataset(
    source: Path, project_root: Path, options: PreparationOptions | None = None, progress: Progress = silent
) -> PreparedDataset:
    """Prepare a data set for training.

    The result is ``data/{train,val,test}/<class>/*`` with ``manifest.csv`` and ``dataset.json``. Groups and
    folds are those of known patients where the set is recognised or has a ``groups.csv`` or folders of patients;
    otherwise groups are copies found by duplicate detection. Other files in ``data/`` are kept.

    Args:
        source: A folder or an archive, with split folders or with class folders only.
        project_root: The project.
        options: The options; the defaults where None.
        progress: Called with step, done and total.

    Raises:
        DatasetError: There are no class folders, a class is missing or empty, a folder names no class, or the
            archive is unsafe. An existing ``data`` is then unchanged.
        UsageError: Another run is preparing the same project.
        ResourceError: The disk is full.
    """
    with project_lock(project_root, "preparing data"):
        return _prepare(source, project_root, options or PreparationOptions(), progress)


def _prepare(source: Path, project_root: Path, options: PreparationOptions, progress: Progress) -> PreparedDataset:
    data = project_root / DATA_FOLDER
    found = find_scans(
        open_source(source, project_root),
        options.labels,
        healthy=options.healthy,
        labels_table=options.labels_table,
        ignored=_project_folders(source, project_root),
    )
    _check_val_size(found, options)
    refuse_overlap(found.root, [scan.path for scan in found.scans], [data / split for split in SPLITS])
    hashed, unreadable = hash_scan(found.scans, progress)
    _check_classes(found, hashed, found.labels)
    labels = np.array([found.labels.index(scan.found.label) for scan in hashed], dtype=np.int64)
    grouping = group_scans(found.groups_table, hashed, labels, options.folds, options.seed, progress)
    records = _records(hashed, grouping, _splits(found, hashed, labels, grouping, options))
    name = _name(found.root, recognised=grouping.known_scans)
    masks = find_masks(found.root, name, [record.source for record in records])
    manifest = Manifest(
        root=data,
        name=name,
        labels=found.labels,
        groups_from=grouping.origin,
        official_split=found.has_splits,
        records=records,
        masks=str(masks) if masks else None,
    )
    split, fault = _training_split(manifest, options)
    linked = _install(manifest, hashed, progress, copy=options.copy)
    notes = (*found.notes, *grouping.notes, *_conflict_lines(grouping), *fault)
    return PreparedDataset(manifest, unreadable, linked, split, notes)


def _project_folders(source: Path, project_root: Path) -> list[Path]:
    """List the folders that a project writes, where the source is the project's folder or one around it."""
    try:
        inside = project_root.resolve().relative_to(source.resolve())
    except ValueError:
        return []
    return [source / inside / name for name in _PROJECT_FOLDERS]


def _check_val_size(found: ScanFolder, options: PreparationOptions) -> None:
    if options.val_size is None:
        return
    if not found.has_splits:
        why = "the set has no test folder, so that a fold validates; the number of folds is data.folds"
    elif any(scan.split == "val" for scan in found.scans):
        why = "the set has a validation folder of its own"
    else:
        return
    msg = f"--val-size {options.val_size:g} has no effect here: {why}"
    raise UsageError(msg)


def _training_split(manifest: Manifest, options: PreparationOptions) -> tuple[Split | None, tuple[str, ...]]:
    try:
        return make_split(manifest, options.protocol, options.test_fold), ()
    except DatasetError as error:
        return None, (f"the {options.protocol} protocol cannot train on this set yet: {error}",)


def _splits(
    found: ScanFolder, hashed: Sequence[HashedScan], labels: np.ndarray, grouping: Grouping, options: PreparationOptions
) -> list[str]:
    if not found.has_splits:
        # The folders are those of the clean protocol: none of its test scans is in data/train.
        part_of = {options.test_fold: "test", (options.test_fold + 1) % options.folds: "val"}
        return [part_of.get(fold, "train") for fold in grouping.folds]
    groups = np.unique(grouping.groups, return_inverse=True)[1].astype(np.int64)
    splits = np.array([scan.found.split or "train" for scan in hashed])
    train = np.flatnonzero(splits == "train")
    if not (splits == "val").any():
        share = options.val_size or options.valid_split
        chosen = split_validation(labels[train], _validation_groups(splits, groups)[train], share, options.seed)
        splits[train[chosen]] = "val"
    return [str(split) for split in splits]


def _validation_groups(splits: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the groups for drawing validation scans, which should resemble the test scans.

    Where most test scans have relatives in training, validation scans without relatives would mislead early stopping
    and the temperature. Then each scan is a group of its own, and the split is marked leaky.
    """
    crossing = np.isin(groups[splits == "test"], groups[splits == "train"])
    return np.arange(len(groups)) if crossing.mean() > _LEAKY_SHARE else groups


def _records(hashed: Sequence[HashedScan], grouping: Grouping, splits: Sequence[str]) -> tuple[Record, ...]:
    taken: dict[str, set[str]] = {}
    records = []
    for scan, group, fold, split in zip(hashed, grouping.groups, grouping.folds, splits, strict=True):
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


def _install(manifest: Manifest, hashed: Sequence[HashedScan], progress: Progress, *, copy: bool) -> bool:
    linked = True
    with replace_folders(manifest.root, [*SPLITS, MANIFEST_FILE, EXCLUDED_FILE], DATASET_FILE) as staging:
        for done, (scan, record) in enumerate(zip(hashed, manifest.records, strict=True), start=1):
            target = staging / record.path
            target.parent.mkdir(parents=True, exist_ok=True)
            linked &= install_scan(scan.found.path, target, copy=copy)
            progress("placing scans", done, len(hashed))
        manifest.write(staging)
    return linked


def _check_classes(found: ScanFolder, hashed: Sequence[HashedScan], labels: LabelSet) -> None:
    """Check that every class has readable files."""
    wanted = {(scan.split, scan.label) for scan in found.scans}
    empty = wanted - {(scan.found.split, scan.found.label) for scan in hashed}
    for split, label in sorted(empty, key=lambda part: (part[0] or "", labels.index(part[1]))):
        place = f"{found.root} ({split})" if split else f"{found.root}"
        msg = f"{place}: none of the files of class {label} can be read; download the set again"
        raise DatasetError(msg)


def _name(root: Path, *, recognised: bool) -> str:
    """Return the name in the source's ``dataset.json``, which marks drawn heads; else the folder's name."""
    if recognised:
        return NICKPARVAR
    try:
        header = json.loads((root / DATASET_FILE).read_bytes())
    except (OSError, ValueError, RecursionError):
        header = None
    given = header.get("name") if isinstance(header, dict) else None
    name = given if isinstance(given, str) and given.isprintable() and given else root.resolve().name
    # That name is reserved for the known set, whose masks are in the table.
    return name if name.casefold() != NICKPARVAR else f"{name} (not recognised)"


def _conflict_lines(grouping: Grouping) -> list[str]:
    if not grouping.conflicts:
        return []
    examples = "; ".join(f"{one} and {other}" for one, other in grouping.conflicts[:_NAMED])
    found = f"the same picture in two classes: {len(grouping.conflicts):,} pairs ({examples})"
    return [f"{found}; brainslice audit lists them; remove or relabel them"]
