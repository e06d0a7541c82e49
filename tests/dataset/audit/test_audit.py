from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from brainslice.dataset.audit.audit import audit_folder
from brainslice.dataset.audit.report import AuditReport
from brainslice.dataset.duplicates.near_duplicates import DuplicateKind
from brainslice.errors import DatasetError


@pytest.fixture(scope="module")
def report(drawn: Path) -> AuditReport:
    return audit_folder(drawn)


def places(report: AuditReport) -> dict[str, int]:
    return {file.path: place for place, file in enumerate(report.files)}


def test_the_copies_planted_in_a_drawn_set_are_found_with_their_kinds(report: AuditReport) -> None:
    at = places(report)
    kinds = {(twin.first, twin.second): twin.kind for twin in report.duplicates}
    for patient, ending, kind in (
        (0, "png", DuplicateKind.IDENTICAL),
        (1, "png", DuplicateKind.MIRRORED),
        (2, "jpg", DuplicateKind.NEAR),
    ):
        copy, original = f"Testing/glioma/glioma_90{patient}_01.{ending}", f"Training/glioma/glioma_00{patient}_01.png"
        assert kinds[at[copy], at[original]] == kind
        assert report.groups[at[copy]] == report.groups[at[original]]


def test_no_heads_of_different_patients_share_a_group(report: AuditReport, drawn: Path) -> None:
    patient_of = dict(line.split(",") for line in (drawn / "groups.csv").read_text().splitlines()[1:])
    for family in report.duplicate_groups:
        assert len({patient_of[report.files[place].path] for place in family}) == 1


def test_the_leak_of_a_drawn_set_is_counted(report: AuditReport) -> None:
    (leak,) = report.leaks
    assert (leak.split, leak.source) == ("Testing", "Training")
    planted = 4
    assert (leak.identical, leak.same_pixels) == (planted, 0)
    assert leak.copies + leak.near_copies >= 2 * planted


def test_masks_are_no_scans_and_classes_have_their_own_names(report: AuditReport) -> None:
    assert {file.label for file in report.files} == {"glioma", "meningioma", "no_tumor", "pituitary"}
    assert report.left_out == 0
    assert report.conflicts == ()
    assert report.unreadable == ()


def test_the_report_has_json_and_summary_lines(report: AuditReport, drawn: Path) -> None:
    said = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert said["files"] == len(report.files)
    assert len(said["duplicates"]) == len(report.duplicates)
    assert report.summary_lines()[0].startswith(f"{drawn}: {len(report.files)} files read (Testing ")


@pytest.fixture
def flat(drawn: Path, tmp_path: Path) -> Path:
    """Four heads side by side, a mirrored copy, a damaged file and things that are none of our business."""
    folder = tmp_path / "flat"
    folder.mkdir()
    for place, kind in enumerate(("glioma", "meningioma", "notumor", "pituitary")):
        shutil.copy(drawn / "Training" / kind / f"{kind}_000_00.png", folder / f"{place}.PNG")
    with Image.open(folder / "2.PNG") as image:
        ImageOps.mirror(image).save(folder / "copy.bmp")
    (folder / "broken.jpeg").write_bytes(b"\xff\xd8\xffbroken")
    (folder / "notes.txt").write_text("not a scan")
    (folder / "._0.png").write_bytes(b"hidden")
    return folder


def test_a_flat_folder_is_audited_and_what_cannot_be_read_is_listed(flat: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    report = audit_folder(flat, progress=lambda *news: heard.append(news))
    assert [file.path for file in report.files] == ["0.PNG", "1.PNG", "2.PNG", "3.PNG", "copy.bmp"]
    assert {(file.label, file.split) for file in report.files} == {("", "")}
    assert [path for path, _ in report.unreadable] == ["broken.jpeg"]
    assert str(flat / "broken.jpeg") in report.unreadable[0][1]
    assert [(twin.first, twin.second, twin.kind) for twin in report.duplicates] == [(2, 4, DuplicateKind.MIRRORED)]
    assert (report.leaks, report.shortcuts, report.overlap) == ((), (), None)
    assert ("reading scans", 6, 6) in heard


def test_files_outside_the_split_folders_are_left_out_and_counted(flat: Path) -> None:
    for split in ("train", "TEST"):
        (flat / "set" / split / "no tumor").mkdir(parents=True)
        shutil.copy(flat / "2.PNG", flat / "set" / split / "no tumor" / "scan.png")
    report = audit_folder(flat)
    assert [(file.path, file.label, file.split) for file in report.files] == [
        ("set/TEST/no tumor/scan.png", "no_tumor", "TEST"),
        ("set/train/no tumor/scan.png", "no_tumor", "train"),
    ]
    assert report.left_out == 6
    assert report.leaks[0].identical == 1


def test_a_second_folder_is_compared_file_by_file(flat: Path, drawn: Path) -> None:
    other = flat.parent / "other"
    (other / "yes").mkdir(parents=True)
    (other / "no").mkdir()
    shutil.copy(flat / "0.PNG", other / "yes" / "a.png")
    with Image.open(flat / "2.PNG") as image:
        image.save(other / "no" / "b.jpg", quality=70)
    shutil.copy(drawn / "Training" / "notumor" / "notumor_001_00.png", other / "no" / "c.png")
    report = audit_folder(other, against=flat)
    assert report.duplicates == ()
    assert report.overlap is not None
    assert [(report.files[each.first].path, each.other, each.kind) for each in report.overlap.shared] == [
        ("no/b.jpg", "2.PNG", DuplicateKind.NEAR),
        ("yes/a.png", "0.PNG", DuplicateKind.IDENTICAL),
    ]
    assert report.overlap.by_label == (("no_tumor", 1, 2), ("yes", 1, 1))
    assert (report.overlap.files, report.overlap.unreadable) == (5, 1)


def test_a_folder_of_damaged_files_gets_a_report_that_lists_them(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    report = audit_folder(tmp_path)
    assert (len(report.files), len(report.unreadable)) == (0, 1)
    assert report.summary_lines()[0] == f"{tmp_path}: 0 files read, 1 unreadable"
    assert json.dumps(report.to_json())


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_a_folder_that_is_missing_or_holds_no_scans_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="scans") as refusal:
        audit_folder(tmp_path / name)
    assert str(tmp_path / name) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.real
def test_the_external_set_holds_pictures_of_the_main_set(real_scans: Path, tmp_path: Path) -> None:
    (tmp_path / "main").mkdir()
    (tmp_path / "external" / "no").mkdir(parents=True)
    overlap = (real_scans / "navoneel_overlap.csv").read_text(encoding="utf-8").splitlines()[1:]
    known = [line.split(",") for line in overlap if line.startswith("no/") and line.split(",")[3]][:20]
    for path, _, _, copy, *_ in known:
        shutil.copy(real_scans / "navoneel" / path, tmp_path / "external" / path)
        shutil.copy(real_scans / "nickparvar" / copy, tmp_path / "main" / Path(copy).name)
    report = audit_folder(tmp_path / "external", against=tmp_path / "main")
    assert report.overlap is not None
    assert len(report.overlap.shared) >= 0.95 * len(known)
