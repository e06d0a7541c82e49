from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

from brainslice.scan.listing import SkippedFiles, walk_scans

DICOM = bytes(128) + b"DICM"


def write(path: Path, data: bytes = b"x" * 200) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def is_scan(path: Path) -> bool:
    return path in set(walk_scans(path.parent))


@pytest.mark.parametrize(
    "name", ["a.jfif", "a.JPE", "a.png", "a.nii", "a.nii.gz", "a.dcm", "a.IMA", "a.webp", "a.gif", "a.tiff"]
)
def test_a_file_is_a_scan_by_its_ending(tmp_path: Path, name: str) -> None:
    assert is_scan(write(tmp_path / name))


@pytest.mark.parametrize("name", ["IM1.MR", "IM1.DIC", "IM1.dc3", "IM1.img", "IM1.v2", "IM1", "1.2.840.1"])
def test_a_file_of_another_ending_or_none_is_a_scan_by_its_content(tmp_path: Path, name: str) -> None:
    assert is_scan(write(tmp_path / name, DICOM))
    assert not is_scan(write(tmp_path / "text" / name))


def test_a_picture_without_an_ending_is_a_scan(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "picture", format="BMP")
    assert is_scan(tmp_path / "picture")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("masks/a.png", "tumour outlines"),
        ("Tumor_Masks/a.png", "tumour outlines"),
        ("ground truth/a.png", "tumour outlines"),
        ("a_mask.png", "tumour outlines"),
        ("a_seg.nii.gz", "tumour outlines"),
        (".ipynb_checkpoints/a.png", "hidden or system files"),
        ("__MACOSX/a.png", "hidden or system files"),
        ("._a.png", "hidden or system files"),
        ("Thumbs.db", "hidden or system files"),
        ("readme.pdf", "files that are no scans"),
        ("DICOMDIR", "files that are no scans"),
    ],
)
def test_files_that_are_not_scans_are_counted_by_reason(tmp_path: Path, name: str, reason: str) -> None:
    scans = [write(tmp_path / "a.nii.gz"), write(tmp_path / "a.png")]
    write(tmp_path / name, DICOM if name == "DICOMDIR" else b"x" * 200)
    skipped = SkippedFiles()
    assert list(walk_scans(tmp_path, skipped)) == scans
    assert dict(skipped.counts) == {reason: 1}
    assert skipped.summary.startswith(f"passed over: 1 {reason} (")


def test_a_mask_without_its_scan_is_listed(tmp_path: Path) -> None:
    scan = write(tmp_path / "patient_mask.png")
    assert list(walk_scans(tmp_path)) == [scan]


@pytest.mark.skipif(sys.platform == "win32", reason="links to folders need a right of their own on Windows")
def test_links_to_folders_are_followed_once_where_asked(tmp_path: Path) -> None:
    scan = write(tmp_path / "far" / "a.png")
    root = tmp_path / "root"
    root.mkdir()
    (root / "glioma").symlink_to(scan.parent, target_is_directory=True)
    (scan.parent / "loop").symlink_to(root, target_is_directory=True)
    assert list(walk_scans(root)) == []
    assert list(walk_scans(root, follow_links=True)) == [root / "glioma" / "a.png"]


def test_broken_links_are_listed(tmp_path: Path) -> None:
    for name in ("IM0001", "scan.png", "notes.txt"):
        (tmp_path / name).symlink_to(tmp_path / "nowhere")
    assert [path.name for path in walk_scans(tmp_path)] == ["IM0001", "notes.txt", "scan.png"]
