from __future__ import annotations

from pathlib import Path

import pytest

from brainslice.dataset.discovery.folders import find_scans
from brainslice.errors import DatasetError
from brainslice.labels import LabelSet

LABELS = LabelSet(("glioma", "no_tumor"))


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def rows(root: Path) -> list[tuple[str, str, str | None]]:
    return [(scan.source, scan.label, scan.split) for scan in find_scans(root, LABELS).scans]


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [("Training", "Validation", "Testing"), ("train", "val", "test"), ("TRAIN", "Valid", "TEST")],
)
def test_split_folders_are_known_by_all_their_names(tmp_path: Path, train: str, val: str, test: str) -> None:
    names = [f"{split}/{label}/a.jpg" for split in (train, val, test) for label in ("Glioma_tumor", "no tumor")]
    touch(tmp_path, *names)
    found = find_scans(tmp_path, LABELS)
    assert found.has_splits
    assert {(scan.source.split("/")[0], scan.split) for scan in found.scans} == {
        (train, "train"),
        (val, "val"),
        (test, "test"),
    }
    assert {scan.label for scan in found.scans} == {"glioma", "no_tumor"}
    assert all(scan.path == tmp_path / scan.source for scan in found.scans)


def test_one_root_of_class_folders_has_no_split_of_its_own(tmp_path: Path) -> None:
    touch(tmp_path, "glioma/deep/a.png", "notumor/b.png")
    assert rows(tmp_path) == [("glioma/deep/a.png", "glioma", None), ("notumor/b.png", "no_tumor", None)]
    assert not find_scans(tmp_path, LABELS).has_splits


def test_without_a_test_folder_training_and_validation_are_one_root(tmp_path: Path) -> None:
    touch(tmp_path, "train/glioma/a.png", "train/no/b.png", "val/no/c.png")
    assert {split for _, _, split in rows(tmp_path)} == {None}


def test_endings_count_in_any_case_and_other_files_do_not(tmp_path: Path) -> None:
    names = ["a.jpg", "b.JPG", "c.JpEg", "d.PNG", "e.tiff", "f.Bmp"]
    touch(tmp_path, *(f"glioma/{name}" for name in names), "no/x.png")
    touch(tmp_path, "glioma/Thumbs.db", "glioma/.hidden.png", "glioma/._a.jpg", "glioma/notes.txt", "readme.png")
    assert [source for source, label, _ in rows(tmp_path) if label == "glioma"] == [f"glioma/{name}" for name in names]


def test_wrapping_folders_are_entered(tmp_path: Path) -> None:
    touch(tmp_path, "__MACOSX/x/a.jpg", ".git/glioma/a.jpg", "archive/set v1/glioma/a.png", "archive/set v1/no/b.png")
    found = find_scans(tmp_path, LABELS)
    assert found.root == tmp_path / "archive" / "set v1"
    assert len(found.scans) == 2


def test_two_folders_of_one_class_are_taken_together(tmp_path: Path) -> None:
    touch(tmp_path, "glioma/a.png", "no/a.png", "NoTumor/a.png")
    assert [label for _, label, _ in rows(tmp_path)].count("no_tumor") == 2


def test_mask_folders_and_empty_folders_are_no_classes(tmp_path: Path) -> None:
    touch(tmp_path, "glioma/a.png", "no/b.png", "masks/a.png", "docs/readme.md")
    assert len(rows(tmp_path)) == 2


def test_a_folder_of_no_class_is_named_with_the_remedy(tmp_path: Path) -> None:
    touch(tmp_path, "glioma/a.png", "no/b.png", "sarcoma/c.png")
    with pytest.raises(DatasetError, match=r"'sarcoma' names no class of glioma, no_tumor; rename it"):
        find_scans(tmp_path, LABELS)
    assert len(find_scans(tmp_path, LABELS, ignore_others=True).scans) == 2


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        (["glioma/a.png"], "holds no scans of no_tumor"),
        (["glioma/a.png", "no/readme.txt"], "holds no scans of no_tumor"),
        (["train/glioma/a.png", "train/no/b.png", "test/glioma/c.png"], r"\(test\): holds no scans of no_tumor"),
        (["train/glioma/a.png", "test/glioma/b.png", "test/no/c.png"], r"\(train\): holds no scans of no_tumor"),
        (["test/glioma/b.png", "test/no/c.png"], "none for training"),
        (["a.png", "b.png"], "holds no class folders; expected Training and Testing"),
        (["one/a.png", "two/b.png"], "'one' names no class of glioma, no_tumor"),
        ([], "holds no class folders"),
    ],
)
def test_sets_with_gaps_are_refused_in_one_line(tmp_path: Path, names: list[str], fault: str) -> None:
    touch(tmp_path, *names)
    with pytest.raises(DatasetError, match=fault) as caught:
        find_scans(tmp_path, LABELS)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_missing_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is none; check the path"):
        find_scans(tmp_path / "nowhere", LABELS)


@pytest.mark.real
def test_the_real_sets_are_found_whole(real_scans: Path) -> None:
    main = find_scans(real_scans / "nickparvar", LabelSet())
    assert (len(main.scans), main.has_splits) == (7023, True)
    external = find_scans(real_scans / "navoneel", LabelSet(("yes", "no"), healthy="no"))
    assert (len(external.scans), external.has_splits) == (253, False)
