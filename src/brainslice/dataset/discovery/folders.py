"""Discovery of scans, classes, splits and patients by folder layout or ``labels.csv``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from brainslice.dataset.discovery.patient_folders import PlacedScan, ScanFile, assign_patients
from brainslice.dataset.discovery.side_table import GROUPS_FILE, LABELS_FILE, find_table, match_table
from brainslice.errors import DatasetError
from brainslice.labels import DEFAULT_HEALTHY, LabelSet, labels_from_folders
from brainslice.scan import SkippedFiles, printable, walk_scans

SPLIT_FOLDERS: Final = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Casefolded names of split folders."""

OUTSIDE: Final = "scans outside the class folders"


@dataclass(frozen=True, slots=True)
class ScanFolder:
    """A folder that holds a data set.

    Attributes:
        root: The folder of its split folders or class folders.
        labels: Its classes.
        scans: All scans, sorted by source.
        has_splits: Whether the set has a test folder.
        groups_table: The table of patients beside the scans, where there is one.
        notes: Lines on files passed over, matched tables and assumptions.
    """

    root: Path
    labels: LabelSet
    scans: tuple[ScanFile, ...]
    has_splits: bool
    groups_table: Path | None = None
    notes: tuple[str, ...] = ()


def find_scans(
    source: Path,
    labels: LabelSet | None = None,
    *,
    healthy: str | None = DEFAULT_HEALTHY,
    ignore_others: bool = False,
    labels_table: Path | None = None,
    ignored: Sequence[Path] = (),
) -> ScanFolder:
    """Find the scans of a data set and their classes.

    Split folders (``Training``, ``val``, ``test``; any case) may lie above the class folders or inside them, and
    folders of patients inside both. Without a test folder, training and validation folders are taken together. With a
    table of labels, folders are ignored.

    Args:
        source: The folder; the set may be in nested folders.
        labels: The classes; taken from the names of the class folders where None.
        healthy: The healthy class where classes are taken from folders; see ``choose_healthy``.
        ignore_others: Whether to pass over folders that name no class.
        labels_table: A table with the columns path and label; ``labels.csv`` beside the scans where None.
        ignored: Folders inside the source to leave out, such as those that a project writes.

    Raises:
        DatasetError: There are no class folders, one is missing or empty, one names no class, or a table is wrong.
    """
    if not source.is_dir():
        msg = f"{source}: must be a folder or an archive of scans, and there is none; check the path"
        raise DatasetError(msg)
    skipped = SkippedFiles()
    paths = [path for path in walk_scans(source, skipped, follow_links=True) if not _is_inside(path, ignored)]
    found = [(path, path.relative_to(source).parts) for path in paths]
    wrappers = _wrappers([parts for _, parts in found], labels)
    places = [source.joinpath(*wrappers[:level]) for level in range(len(wrappers), -1, -1)]
    notes: list[str] = []
    table = labels_table or find_table(places, LABELS_FILE)
    depth = 0 if table else len(wrappers)
    root = source.joinpath(*wrappers[:depth])
    inside = [(path, parts[depth:]) for path, parts in found if parts[:depth] == wrappers[:depth]]
    skipped.add(OUTSIDE, found[0][0].name if found else "", len(found) - len(inside))
    placed = _from_table(table, inside, skipped, notes) if table else _from_folders(inside, skipped)
    placed, official = _official_parts(root, placed, skipped)
    labels = _labels_of(source, placed, labels, healthy)
    named = _named(root, placed, labels, skipped if ignore_others else None)
    _check_classes(root, named, labels, official=official)
    scans = assign_patients([(each, label) for each, label in named], notes, official=official)
    if skipped.summary:
        notes.append(skipped.summary)
    ordered = tuple(sorted(scans, key=lambda scan: scan.source))
    return ScanFolder(root, labels, ordered, official, find_table(places, GROUPS_FILE), tuple(notes))


def _is_inside(path: Path, folders: Sequence[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _wrappers(paths: Sequence[tuple[str, ...]], labels: LabelSet | None) -> tuple[str, ...]:
    """List the nested folders around a set: each holds a single folder, which is neither split nor class."""
    known, wrappers = labels or LabelSet(), list[str]()
    while paths := [parts for parts in paths if len(parts) > len(wrappers) + 1]:
        names = {parts[len(wrappers)] for parts in paths}
        name = next(iter(names))
        if len(names) != 1 or name.casefold() in SPLIT_FOLDERS or known.from_folder(name):
            break
        wrappers.append(name)
    return tuple(wrappers)


def _from_folders(found: Sequence[tuple[Path, tuple[str, ...]]], skipped: SkippedFiles) -> list[PlacedScan]:
    placed = []
    for path, parts in found:
        folders = parts[:-1]
        first, second = (SPLIT_FOLDERS.get(name.casefold(), "") for name in (*folders, "", "")[:2])
        if first and len(folders) > 1:
            placed.append(PlacedScan(path, parts, folders[1], first, folders[2:]))
        elif folders and not first:
            placed.append(PlacedScan(path, parts, folders[0], second, folders[2 if second else 1 :]))
        else:
            skipped.add(OUTSIDE, path.name)
    return placed


def _from_table(
    table: Path, found: Sequence[tuple[Path, tuple[str, ...]]], skipped: SkippedFiles, notes: list[str]
) -> list[PlacedScan]:
    matched = match_table(table, ("label",), ["/".join(parts) for _, parts in found])
    notes.append(matched.note)
    placed = []
    for place, (path, parts) in enumerate(found):
        row = matched.rows.get(place, {})
        if not row.get("label"):
            skipped.add(f"scans without a row in {table.name}", path.name)
            continue
        split = row.get("split", "")
        if split and split.casefold() not in SPLIT_FOLDERS:
            msg = f"{table}: the split of {row['path']!r} must be train, val or test, got {split!r}"
            raise DatasetError(msg)
        part = SPLIT_FOLDERS.get(split.casefold(), "")
        placed.append(PlacedScan(path, parts, row["label"], part, group=row.get("group", "")))
    return placed


def _official_parts(root: Path, placed: list[PlacedScan], skipped: SkippedFiles) -> tuple[list[PlacedScan], bool]:
    """Keep scans in split folders where there are any, and return whether there is a test folder."""
    splits = {each.split for each in placed} - {""}
    if "test" in splits and "train" not in splits:
        msg = f"{root}: has a test folder but none for training; a folder named Training or train is needed"
        raise DatasetError(msg)
    for each in placed:
        if splits and not each.split:
            skipped.add("scans outside the split folders", "/".join(each.parts))
    return [each for each in placed if each.split or not splits], "test" in splits


def _labels_of(source: Path, placed: Sequence[PlacedScan], labels: LabelSet | None, healthy: str | None) -> LabelSet:
    folders = {each.label for each in placed}
    if not folders:
        msg = (
            f"{source}: holds no class folders; expected Training and Testing, or train, val and test, or a folder "
            f"for each class, or a table {LABELS_FILE} with the columns path and label"
        )
        raise DatasetError(msg)
    if labels is not None:
        return labels
    default = LabelSet()
    if {default.from_folder(name) for name in folders} >= set(default.names) and healthy == DEFAULT_HEALTHY:
        return default
    try:
        return labels_from_folders(folders, healthy)
    except DatasetError as error:
        msg = f"{source}: {error}"
        raise DatasetError(msg) from error


def _named(
    root: Path, placed: Sequence[PlacedScan], labels: LabelSet, skipped: SkippedFiles | None
) -> list[tuple[PlacedScan, str]]:
    named = []
    for each in placed:
        label = labels.from_folder(each.label)
        if label is not None:
            named.append((each, label))
        elif skipped is not None:
            skipped.add("scans in folders of other names", "/".join(each.parts))
        else:
            msg = (
                f"{root / PurePath(*each.parts[:-1])}: {printable(each.label)!r} names no class of "
                f"{', '.join(labels.names)}; rename it, move it out of {root.name or root}, or name the classes in "
                "the configuration (data.class_names)"
            )
            raise DatasetError(msg)
    return named


def _check_classes(root: Path, named: Sequence[tuple[PlacedScan, str]], labels: LabelSet, *, official: bool) -> None:
    present: dict[str, set[str]] = defaultdict(set)
    for each, label in named:
        present[each.split if official else ""].add(label)
    for split, found in sorted(present.items()) or [("", set[str]())]:
        absent = [name for name in labels.names if name not in found]
        if absent:
            msg = (
                f"{root}{f' ({split})' if split else ''}: holds no scans of {', '.join(absent)}; each class needs a "
                "folder with pictures in it, or leave the class out of the configuration (data.class_names)"
            )
            raise DatasetError(msg)
