from __future__ import annotations

from pathlib import Path

import pytest

from brainslice.dataset.discovery.folders import find_scans
from brainslice.labels import LabelSet

LABELS = LabelSet(("glioma", "no_tumor"))


def groups(root: Path, *names: str) -> tuple[list[str | None], list[str]]:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = find_scans(root, LABELS)
    return [scan.group for scan in found.scans], [note for note in found.notes if note.startswith("patients: ")]


def test_folders_inside_class_folders_are_patients(tmp_path: Path) -> None:
    found, notes = groups(tmp_path, "glioma/P01/a.png", "glioma/P01/b.png", "glioma/P02/a.png", "no/P01/a.png")
    assert found == ["glioma/P01", "glioma/P01", "glioma/P02", "no_tumor/P01"]
    assert notes[0] == "patients: 3 folders inside class folders are taken for patients (P01, ...)"
    assert "1 names come in several classes and count as different patients (P01)" in notes[1]


def test_a_long_number_is_one_patient_in_every_class(tmp_path: Path) -> None:
    found, notes = groups(tmp_path, "glioma/TCGA_0123/a.png", "no/TCGA_0123/a.png", "no/TCGA_0124/a.png")
    assert found == ["TCGA_0123", "TCGA_0123", "TCGA_0124"]
    assert "count as one patient" in notes[1]


@pytest.mark.parametrize("name", ["T1", "t2w", "flair", "part 2", "fold_1", "224x224", "batch3"])
def test_folders_of_sequences_and_parts_are_no_patients_but_named(tmp_path: Path, name: str) -> None:
    found, notes = groups(tmp_path, f"glioma/{name}/a.png", "glioma/b.png", "no/c.png")
    assert found == [None, None, None]
    assert f"the folders {name} inside class folders are not taken for patients" in notes[0]


def test_one_folder_alone_is_no_patient(tmp_path: Path) -> None:
    found, notes = groups(tmp_path, "glioma/P01/a.png", "no/c.png")
    assert found == [None, None]
    assert "list them in groups.csv" in notes[0]
