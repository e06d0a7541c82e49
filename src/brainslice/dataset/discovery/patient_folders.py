"""Patients read from the names of folders inside class folders."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

from brainslice.dataset.discovery.side_table import GROUPS_FILE

# Folder names with digits are patients, except names of sequences and parts of the set.
_NO_PATIENT: Final = re.compile(
    r"(t[12]\w*|flair|dwi|adc|pd|swi|b|part|batch|fold|set|version|v|size|\d+x)[\s_.-]?\d*\w?"
)
_LONG_NUMBER: Final = re.compile(r"\d{4}")


@dataclass(frozen=True, slots=True)
class ScanFile:
    """A scan of a data set.

    Attributes:
        path: The file.
        source: The path relative to the set's root, with forward slashes.
        label: The class.
        split: ``train``, ``val`` or ``test`` by its folder; None in a set without a test folder.
        group: Its patient, from a folder inside the class folder or from ``labels.csv``; None where unknown.
    """

    path: Path
    source: str
    label: str
    split: str | None
    group: str | None = None


class PlacedScan(NamedTuple):
    """A scan with label, split, inner folders and group, by its folders or by a table."""

    path: Path
    parts: tuple[str, ...]
    label: str
    split: str
    inner: tuple[str, ...] = ()
    group: str = ""


def assign_patients(named: Sequence[tuple[PlacedScan, str]], notes: list[str], *, official: bool) -> list[ScanFile]:
    """Assign scans to patients by folders inside class folders whose names look like patients."""
    scans = []
    others: set[str] = set()
    classes: dict[str, set[str]] = defaultdict(set)
    siblings: dict[str, set[str]] = defaultdict(set)
    for each, label in named:
        patient = next((name for name in each.inner if _is_patient(name)), "")
        if patient:
            classes[patient].add(label)
            siblings[label].add(patient)
        elif each.inner:
            others.add(each.inner[0])
        # A long number is the same patient in every class; short numbers start at 1 in each class.
        folder_group = patient if _LONG_NUMBER.search(patient) else f"{label}/{patient}"
        group = each.group or (folder_group if patient else "") or None
        scans.append(ScanFile(each.path, "/".join(each.parts), label, each.split if official else None, group))
    if len({name for names in siblings.values() for name in names}) < 2:  # noqa: PLR2004 - a single folder is no patient
        others.update(classes)
        scans = [replace(scan, group=each.group or None) for scan, (each, _) in zip(scans, named, strict=True)]
        classes.clear()
    notes.extend(_patient_notes(classes, siblings, others))
    return scans


def _is_patient(name: str) -> bool:
    return any(letter.isdigit() for letter in name) and not _NO_PATIENT.fullmatch(name.casefold())


def _patient_notes(
    classes: Mapping[str, set[str]], siblings: Mapping[str, set[str]], others: Collection[str]
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
            f"a table {GROUPS_FILE} (columns path and group) overrides this"
        )
    if others:
        names = ", ".join(sorted(others)[:3])
        notes.append(
            f"patients: the folders {names} inside class folders are not taken for patients; "
            f"if they are, list them in {GROUPS_FILE} (columns path and group)"
        )
    return notes
