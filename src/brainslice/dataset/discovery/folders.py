"""Folders of scans as people lay them out: with splits or without, each class under one of its many names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brainslice.errors import DatasetError
from brainslice.labels import LabelSet
from brainslice.scan.read import SCAN_SUFFIXES

MASK_FOLDERS: Final = ("masks", "tumour_masks")
"""Folders of outlines, which are never taken for a class."""

_SPLITS: Final = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_DEEPEST: Final = 5


@dataclass(frozen=True, slots=True)
class ScanFile:
    """A file in a class folder.

    Attributes:
        path: Where it lies.
        source: The same, relative to the set's root, with forward slashes.
        label: The class its folder names.
        split: ``train``, ``val`` or ``test`` as its folder has it; None in a set without a test folder.
    """

    path: Path
    source: str
    label: str
    split: str | None


@dataclass(frozen=True, slots=True)
class ScanFolder:
    """A folder that holds a data set.

    Attributes:
        root: Where its split folders or class folders lie.
        scans: All files of all classes, sorted by source.
        has_splits: Whether the set has a test folder of its own.
    """

    root: Path
    scans: tuple[ScanFile, ...]
    has_splits: bool


def find_scans(source: Path, labels: LabelSet, *, ignore_others: bool = False) -> ScanFolder:
    """Find the class folders of a data set, directly in a folder or as deep as archives wrap them.

    Either ``Training`` and ``Testing`` (or ``train``, ``val``, ``test``, in any case) hold the class folders,
    or one root does. A set whose only parts are training and validation counts as one root. Endings count in
    any case; hidden files and files that are no pictures by their ending are passed over.

    Args:
        source: The folder.
        labels: The classes.
        ignore_others: Whether folders that name no class are passed over.

    Raises:
        DatasetError: There are no class folders, one is missing or empty, or one names no class.
    """
    if not source.is_dir():
        msg = f"{source}: must be a folder or an archive of scans, and there is none; check the path"
        raise DatasetError(msg)
    root = _enter(source, labels)
    parts = [(folder, _SPLITS[folder.name.casefold()]) for folder in _subfolders(root) if _is_split(folder)]
    official = any(split == "test" for _, split in parts)
    if official and not any(split == "train" for _, split in parts):
        msg = f"{root}: has a test folder but none for training; a folder named Training or train is needed"
        raise DatasetError(msg)
    scans: list[ScanFile] = []
    for folder, split in parts or [(root, "")]:
        found = list(_in_classes(root, folder, labels, ignore_others=ignore_others))
        if official:
            _refuse_gaps(folder, {label for _, label in found}, labels)
        named = split if official else None
        scans += [ScanFile(path, path.relative_to(root).as_posix(), label, named) for path, label in found]
    _refuse_gaps(root, {scan.label for scan in scans}, labels)
    return ScanFolder(root, tuple(sorted(scans, key=lambda scan: scan.source)), official)


def _enter(source: Path, labels: LabelSet) -> Path:
    """Go down while a folder holds one folder and nothing else to go by."""
    root = source
    for _ in range(_DEEPEST):
        folders = _subfolders(root)
        if any(_is_split(folder) or labels.from_folder(folder.name) for folder in folders):
            return root
        if len(folders) != 1:
            break
        root = folders[0]
    msg = (
        f"{source}: holds no class folders; expected Training and Testing, or train, val and test, "
        f"or folders named {', '.join(labels.names)}"
    )
    raise DatasetError(msg)


def _in_classes(root: Path, folder: Path, labels: LabelSet, *, ignore_others: bool) -> Iterator[tuple[Path, str]]:
    for sub in _subfolders(folder):
        files, label = _files(sub), labels.from_folder(sub.name)
        if label is not None:
            yield from ((path, label) for path in files)
        elif files and not ignore_others and sub.name.casefold() not in MASK_FOLDERS:
            msg = (
                f"{sub}: names no class of {', '.join(labels.names)}; rename it, move it out of "
                f"{root.name or root}, or name the classes in the configuration (data.class_names)"
            )
            raise DatasetError(msg)


def _refuse_gaps(folder: Path, present: set[str], labels: LabelSet) -> None:
    absent = [name for name in labels.names if name not in present]
    if absent:
        msg = (
            f"{folder}: holds no scans of {', '.join(absent)}; each class needs a folder with pictures in it, "
            "or leave the class out of the configuration (data.class_names)"
        )
        raise DatasetError(msg)


def _subfolders(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".") and path.name != "__MACOSX"
    )


def _files(folder: Path) -> list[Path]:
    found = []
    for place, _, names in os.walk(folder):
        found += [
            Path(place, name)
            for name in names
            if Path(name).suffix.casefold() in SCAN_SUFFIXES and not name.startswith(".")
        ]
    return found


def _is_split(folder: Path) -> bool:
    return folder.name.casefold() in _SPLITS
