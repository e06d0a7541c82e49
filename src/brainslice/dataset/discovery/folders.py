"""Scans, classes, splits and patients read from a folder's layout, or from ``labels.csv`` beside the scans."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Final, NamedTuple

from brainslice.dataset.discovery.side_table import GROUPS_FILE, LABELS_FILE, find_table, match_table
from brainslice.errors import DatasetError
from brainslice.labels import DEFAULT_HEALTHY, LabelSet, labels_from_folders
from brainslice.scan.files import printable
from brainslice.scan.listing import SkippedFiles, walk_scans

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

# Digits make a folder's name a patient's, unless it names a sequence, a plane or a part of the set.
_NO_PATIENT: Final = re.compile(
    r"(t[12]\w*|flair|dwi|adc|pd|swi|b|part|batch|fold|set|version|v|size|\d+x)[\s_.-]?\d*\w?"
)
_LONG_NUMBER: Final = re.compile(r"\d{4}")


@dataclass(frozen=True, slots=True)
class ScanFile:
    """A scan of a data set.

    Attributes:
        path: Where it lies.
        source: The same, relative to the set's root, with forward slashes.
        label: Its class.
        split: ``train``, ``val`` or ``test`` as its folder has it; None in a set without a test folder.
        group: Its patient, from a folder inside the class folder or from ``labels.csv``; None where unknown.
    """

    path: Path
    source: str
    label: str
    split: str | None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class ScanFolder:
    """A folder that holds a data set.

    Attributes:
        root: Where its split folders or class folders lie.
        labels: Its classes.
        scans: All scans of all classes, sorted by source.
        has_splits: Whether the set has a test folder of its own.
        groups_table: The table of patients beside the scans, where there is one.
        notes: What was passed over, matched or assumed, a line each.
    """

    root: Path
    labels: LabelSet
    scans: tuple[ScanFile, ...]
    has_splits: bool
    groups_table: Path | None = None
    notes: tuple[str, ...] = ()


class _Placed(NamedTuple):
    """A scan and what its folders, or its row of a table, say of it."""

    path: Path
    parts: tuple[str, ...]
    label: str
    split: str
    inner: tuple[str, ...] = ()
    group: str = ""


def find_scans(
    source: Path,
    labels: LabelSet | None = None,
    *,
    healthy: str | None = DEFAULT_HEALTHY,
    ignore_others: bool = False,
    labels_table: Path | None = None,
) -> ScanFolder:
    """Find the scans of a data set and their classes.

    Split folders (``Training``, ``val``, ``test``; any case) may lie above the class folders or inside them, and
    folders of patients inside both. A set whose only parts are training and validation counts as one root. With a
    table of labels, folders do not matter.

    Args:
        source: The folder; the set may lie in folders inside it.
        labels: The classes; taken from the names of the class folders where None.
        healthy: Which class is healthy where the classes are taken from folders; see ``choose_healthy``.
        ignore_others: Whether folders that name no class are passed over.
        labels_table: A table with the columns path and label; ``labels.csv`` beside the scans where None.

    Raises:
        DatasetError: There are no class folders, one is missing or empty, one names no class, or a table is wrong.
    """
    if not source.is_dir():
        msg = f"{source}: must be a folder or an archive of scans, and there is none; check the path"
        raise DatasetError(msg)
    skipped = SkippedFiles()
    found = [(path, path.relative_to(source).parts) for path in walk_scans(source, skipped, follow_links=True)]
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
    labels = labels or _labels_of(source, placed, healthy)
    named = _named(root, placed, labels, skipped if ignore_others else None)
    _refuse_gaps(root, named, labels, official=official)
    scans = _with_patients([(each, label) for each, label in named], notes, official=official)
    if skipped.summary:
        notes.append(skipped.summary)
    ordered = tuple(sorted(scans, key=lambda scan: scan.source))
    return ScanFolder(root, labels, ordered, official, find_table(places, GROUPS_FILE), tuple(notes))


def _wrappers(paths: Sequence[tuple[str, ...]], labels: LabelSet | None) -> tuple[str, ...]:
    """List the folders that wrap a set: each holds one folder with scans, which is neither split nor class."""
    known, wrappers = labels or LabelSet(), list[str]()
    while paths := [parts for parts in paths if len(parts) > len(wrappers) + 1]:
        names = {parts[len(wrappers)] for parts in paths}
        name = next(iter(names))
        if len(names) != 1 or name.casefold() in SPLIT_FOLDERS or known.from_folder(name):
            break
        wrappers.append(name)
    return tuple(wrappers)


def _from_folders(found: Sequence[tuple[Path, tuple[str, ...]]], skipped: SkippedFiles) -> list[_Placed]:
    placed = []
    for path, parts in found:
        folders = parts[:-1]
        first, second = (SPLIT_FOLDERS.get(name.casefold(), "") for name in (*folders, "", "")[:2])
        if first and len(folders) > 1:
            placed.append(_Placed(path, parts, folders[1], first, folders[2:]))
        elif folders and not first:
            placed.append(_Placed(path, parts, folders[0], second, folders[2 if second else 1 :]))
        else:
            skipped.add(OUTSIDE, path.name)
    return placed


def _from_table(
    table: Path, found: Sequence[tuple[Path, tuple[str, ...]]], skipped: SkippedFiles, notes: list[str]
) -> list[_Placed]:
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
        placed.append(_Placed(path, parts, row["label"], part, group=row.get("group", "")))
    return placed


def _official_parts(root: Path, placed: list[_Placed], skipped: SkippedFiles) -> tuple[list[_Placed], bool]:
    """Keep what lies in split folders where there are some, and tell whether one of them is for testing."""
    splits = {each.split for each in placed} - {""}
    if "test" in splits and "train" not in splits:
        msg = f"{root}: has a test folder but none for training; a folder named Training or train is needed"
        raise DatasetError(msg)
    for each in placed:
        if splits and not each.split:
            skipped.add("scans outside the split folders", "/".join(each.parts))
    return [each for each in placed if each.split or not splits], "test" in splits


def _labels_of(source: Path, placed: Sequence[_Placed], healthy: str | None) -> LabelSet:
    folders = {each.label for each in placed}
    default = LabelSet()
    if {default.from_folder(name) for name in folders} >= set(default.names) and healthy == DEFAULT_HEALTHY:
        return default
    try:
        return labels_from_folders(folders, healthy)
    except DatasetError as error:
        if len(folders) > 1:
            msg = f"{source}: {error}"
            raise DatasetError(msg) from error
        msg = (
            f"{source}: holds no class folders; expected Training and Testing, or train, val and test, or a folder "
            f"for each class, or a table {LABELS_FILE} with the columns path and label"
        )
        raise DatasetError(msg) from error


def _named(
    root: Path, placed: Sequence[_Placed], labels: LabelSet, skipped: SkippedFiles | None
) -> list[tuple[_Placed, str]]:
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


def _refuse_gaps(root: Path, named: Sequence[tuple[_Placed, str]], labels: LabelSet, *, official: bool) -> None:
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


def _with_patients(named: Sequence[tuple[_Placed, str]], notes: list[str], *, official: bool) -> list[ScanFile]:
    """Make scans, and take folders inside class folders for patients where their names look like it."""
    scans = []
    others: Counter[str] = Counter()
    classes: dict[str, set[str]] = defaultdict(set)
    siblings: dict[str, set[str]] = defaultdict(set)
    for each, label in named:
        patient = next((name for name in each.inner if _is_patient(name)), "")
        if patient:
            classes[patient].add(label)
            siblings[label].add(patient)
        elif each.inner:
            others[each.inner[0]] += 1
        # A long number is one patient's in every class; numbers from 1 start anew in each.
        folder_group = patient if _LONG_NUMBER.search(patient) else f"{label}/{patient}"
        group = each.group or (folder_group if patient else "") or None
        scans.append(ScanFile(each.path, "/".join(each.parts), label, each.split if official else None, group))
    if len({name for names in siblings.values() for name in names}) < 2:  # noqa: PLR2004 - one folder tells nothing
        others.update(classes)
        scans = [replace(scan, group=each.group or None) for scan, (each, _) in zip(scans, named, strict=True)]
        classes.clear()
    notes.extend(_patient_notes(classes, siblings, others))
    return scans


def _is_patient(name: str) -> bool:
    return any(letter.isdigit() for letter in name) and not _NO_PATIENT.fullmatch(name.casefold())


def _patient_notes(
    classes: Mapping[str, set[str]], siblings: Mapping[str, set[str]], others: Mapping[str, int]
) -> list[str]:
    notes = []
    if classes:
        count = sum(map(len, siblings.values()))
        notes.append(f"patients: {count:,} folders inside class folders are taken for patients ({min(classes)}, ...)")
    twice = sorted(name for name, labels in classes.items() if len(labels) > 1)
    if twice:
        same = "one patient" if _LONG_NUMBER.search(twice[0]) else "different patients"
        notes.append(
            f"patients: {len(twice):,} names come in several classes and count as {same} ({twice[0]}); "
            f"a table {GROUPS_FILE} (columns path and group) can say otherwise"
        )
    if others:
        names = ", ".join(sorted(others)[:3])
        notes.append(
            f"patients: the folders {names} inside class folders are not taken for patients; "
            f"if they are, list them in {GROUPS_FILE} (columns path and group)"
        )
    return notes
