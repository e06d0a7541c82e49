"""The counts that ``prepare`` prints for made-up folder layouts, against counts by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainslice.dataset.preparation import PreparationOptions, prepare_dataset
from brainslice.dataset.prepared import PreparedDataset
from brainslice.dataset.splits import groups
from brainslice.dataset.splits.split import Protocol
from brainslice.errors import DatasetError, UsageError

CHECKPOINTS, MASKS = ".ipynb_checkpoints", "masks"


@pytest.fixture(autouse=True)
def _no_search_for_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "find_duplicates", lambda *_: ())


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (40, 40), dtype=np.uint8)
    Image.fromarray(values).save(path, format="PNG")


def lay_out(root: Path, counts: Mapping[str, int], ending: str = ".png") -> Path:
    """Write as many pictures into each folder as given, each of them different."""
    for at, (folder, count) in enumerate(counts.items()):
        for number in range(count):
            picture(root / folder / f"s{number:02d}{ending}", 1000 * at + number)
    return root


def prepare(source: Path, project: Path, **options: object) -> PreparedDataset:
    return prepare_dataset(source, project, PreparationOptions(folds=3, **options))


LAYOUTS = {
    "class folders": (
        {"glioma": 7, "notumor": 8},
        ["set: 15 scans in 15 groups", "classes: glioma, no_tumor (healthy)", "the source has no test folder"],
    ),
    "training and testing": (
        {"Training/yes": 9, "Training/no": 9, "Testing/yes": 3, "Testing/no": 4},
        ["set: 25 scans in 25 groups", "classes: no (healthy), yes", "official split: 0 of 7 test scans"],
    ),
    "class first": (
        {f"{label}/{part}": 6 for label in ("glioma", "normal") for part in ("training", "validation", "testing")},
        ["set: 36 scans in 36 groups", "official split: 0 of 12 test scans", "(12, 12 and 12 scans)"],
    ),
    "patients inside classes": (
        {f"{label}/P{number:02d}": 2 for label in ("glioma", "no_tumor") for number in range(1, 6)},
        ["set: 20 scans in 10 groups", "10 folders inside class folders are taken for patients"],
    ),
    "masks and checkpoints inside classes": (
        {"glioma": 6, "no": 6, f"glioma/{MASKS}": 5, f"glioma/{CHECKPOINTS}": 4},
        ["set: 12 scans in 12 groups", "1 hidden or system files (.ipynb_checkpoints/), 5 tumour outlines (masks/)"],
    ),
    "wrappers six deep": (
        {"a/b/c/d/e/f/glioma": 6, "a/b/c/d/e/f/healthy": 7},
        ["f: 13 scans in 13 groups", "classes: glioma, no_tumor (healthy)"],
    ),
    "numbers as names": ({"1": 6, "2": 6, "3": 6}, ["set: 18 scans in 18 groups", "classes: 1, 2, 3 (healthy)"]),
    "accents decomposed": (
        {"Tumor cerebral": 6, "Sin tumor": 5, "sin  tumor": 1, "Meningiti\u0301s": 6, "Meningit\u00eds": 2},
        ["set: 20 scans in 20 groups", "classes: Meningit\u00eds, Sin tumor (healthy), Tumor cerebral"],
    ),
    "stray files": (
        {"glioma": 6, "none": 6, ".": 2},
        ["set: 12 scans in 12 groups", "2 scans outside the class folders"],
    ),
    "training and validation only": (
        {"train/glioma": 6, "train/no": 6, "val/glioma": 3, "val/no": 3},
        ["set: 18 scans in 18 groups", "the source has no test folder"],
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_printed_counts_are_those_of_a_count_by_hand(tmp_path: Path, name: str) -> None:
    counts, expected = LAYOUTS[name]
    healthy = "3" if name == "numbers as names" else "no_tumor"
    prepared = prepare(lay_out(tmp_path / "set", counts), tmp_path / "project", healthy=healthy)
    printed = "\n".join(prepared.summary_lines())
    for line in expected:
        assert line in printed


def test_the_printed_split_is_the_one_that_trains_and_folders_agree_with_it(tmp_path: Path) -> None:
    prepared = prepare(lay_out(tmp_path / "set", {"glioma": 9, "no": 9}), tmp_path / "project", test_fold=1)
    split, records = prepared.split, prepared.manifest.records
    assert split is not None
    for name, part in (("train", split.train), ("val", split.validation), ("test", split.test)):
        assert {records[place].split for place in part} == {name}
        assert f"{name} (clean protocol): {len(part)} (glioma 3, no_tumor 3)" in prepared.summary_lines()
    assert {records[place].fold for place in split.test} == {1}


def test_the_official_protocol_prints_its_own_split(tmp_path: Path) -> None:
    layout = {"train/glioma": 20, "train/no": 20, "test/glioma": 4, "test/no": 6}
    source = lay_out(tmp_path / "set", layout)
    lines = prepare(source, tmp_path / "project", protocol=Protocol.OFFICIAL).summary_lines()
    assert "test (official protocol): 10 (glioma 4, no_tumor 6)" in lines
    assert "val (official protocol): 4 (glioma 2, no_tumor 2)" in lines


def test_a_share_without_effect_is_refused(tmp_path: Path) -> None:
    source = lay_out(tmp_path / "set", {"glioma": 6, "no": 6})
    with pytest.raises(UsageError, match=r"--val-size 0\.2 has no effect here: the set has no test folder"):
        prepare(source, tmp_path / "project", val_size=0.2)


def test_one_picture_in_two_classes_is_printed(tmp_path: Path) -> None:
    source = lay_out(tmp_path / "set", {"glioma": 6, "no": 6})
    picture(source / "no" / "same.png", 3)
    lines = prepare(source, tmp_path / "project").summary_lines()
    assert any("the same picture in two classes: 1 pairs (glioma/s03.png and no/same.png)" in line for line in lines)


@pytest.mark.parametrize("separator", ["/", "\\"])
def test_patients_of_a_table_are_groups(tmp_path: Path, separator: str) -> None:
    source = lay_out(tmp_path / "set", {"glioma": 8, "no": 8})
    rows = [
        f"{separator.join((label, f's{number:02d}.png'))};{label}{number // 2}"
        for label in ("glioma", "no")
        for number in range(8)
    ]
    (source / "Groups.csv").write_text("\n".join(["Path;Group", *rows]))
    printed = prepare(source, tmp_path / "project").summary_lines()
    assert printed[0].startswith("set: 16 scans in 8 groups")
    assert "Groups.csv: 16 of 16 rows match 16 of 16 scans" in printed


def test_classes_patients_and_splits_come_from_a_table_of_labels(tmp_path: Path) -> None:
    source = lay_out(tmp_path / "set", {"scans": 12})
    rows = [f"s{number:02d},{'yes' if number % 2 else 'no'},P{number // 2 % 3}" for number in range(12)]
    (source / "labels.csv").write_text("\n".join(["image,diagnosis,patient", *rows]))
    lines = prepare(source, tmp_path / "project").summary_lines()
    assert lines[:2] == [
        "set: 12 scans in 3 groups of relatives (known patients and pictures)",
        "classes: no (healthy), yes",
    ]


def test_scans_of_any_format_are_counted(tmp_path: Path) -> None:
    source = lay_out(tmp_path / "set", {"glioma": 6}, ".jfif")
    lay_out(source, {"x": 0, "no": 6}, "")
    assert prepare(source, tmp_path / "project").summary_lines()[0].startswith("set: 12 scans in 12 groups")


def test_a_project_can_be_prepared_from_its_own_folder_again(tmp_path: Path) -> None:
    source = lay_out(tmp_path, {"glioma": 6, "no": 6})
    first = prepare(source, tmp_path).manifest
    assert prepare(source, tmp_path).manifest.digest == first.digest


@pytest.mark.parametrize("names", [("1", "2"), ("left", "right")])
def test_an_unknown_healthy_class_is_asked_for_with_the_option(tmp_path: Path, names: tuple[str, str]) -> None:
    source = lay_out(tmp_path / "set", dict.fromkeys(names, 6))
    with pytest.raises(DatasetError, match=r"do not say which one is healthy; give --set data\.healthy_class=NAME"):
        prepare(source, tmp_path / "project")


def test_a_set_of_tumours_has_no_healthy_class(tmp_path: Path) -> None:
    source = lay_out(tmp_path / "set", {"glioma": 6, "meningioma": 6, "pituitary": 6})
    prepared = prepare(source, tmp_path / "project")
    assert prepared.manifest.labels.healthy is None
    assert "none is healthy: no tumour/healthy decision" in prepared.summary_lines()[1]
