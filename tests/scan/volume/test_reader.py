from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainslice.errors import UnreadableScanError
from brainslice.scan import decode_volume, read_volume
from brainslice.scan.types import RemarkCode
from hospital import PATIENT, head, nifti, slice_at, write_series

HEAD = head(6)


def test_a_folder_is_a_series_whatever_its_files_are_called(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", HEAD)
    (folder / "LICENSE").write_text("no scan")
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(folder / "preview.png")
    np.testing.assert_array_equal(read_volume(folder).voxels, HEAD)


def test_files_in_folders_of_a_folder_are_found(tmp_path: Path) -> None:
    for number, pixels in enumerate(HEAD):
        place = tmp_path / "disc" / f"{number % 2}" / "IM"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}").write_bytes(slice_at(pixels, number))
    assert len(read_volume(tmp_path / "disc").voxels) == 6


def test_bytes_in_memory_give_what_their_files_give(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", HEAD)
    of_files = read_volume(folder)
    of_bytes = decode_volume({path.name: path.read_bytes() for path in folder.iterdir()}, "upload")
    np.testing.assert_array_equal(of_bytes.voxels, of_files.voxels)
    assert of_bytes.digest == of_files.digest


def test_a_nifti_file_is_a_volume_whatever_its_ending(tmp_path: Path) -> None:
    path = tmp_path / "scan.dat"
    path.write_bytes(gzip.compress(nifti(HEAD.T.astype(np.int16))))
    assert read_volume(path).voxels.shape == HEAD.shape


@pytest.mark.parametrize("content", ["picture", "nothing", "folder"])
def test_the_refusal_of_a_path_without_a_volume_names_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / PATIENT.replace("^", "_")
    if content == "folder":
        path.mkdir()
    elif content == "nothing":
        path.touch()
    else:
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(path, "PNG")
    with pytest.raises(UnreadableScanError) as caught:
        read_volume(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "; " in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_folder_of_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brainslice.scan.volume.reader.MAX_FILES", 5)
    with pytest.raises(UnreadableScanError, match="at most 5 DICOM files"):
        read_volume(write_series(tmp_path / "series", HEAD))


def test_a_name_that_no_system_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableScanError, match=r"cannot be opened|no such file"):
        read_volume(tmp_path / ("x" * 300))


def test_several_nifti_files_at_once_are_no_volume() -> None:
    data = nifti(HEAD.astype(np.int16))
    with pytest.raises(UnreadableScanError, match="one NIfTI file"):
        decode_volume({"a": data, "b": data}, "upload")


def test_other_files_on_a_disc_are_counted_in_a_remark(tmp_path: Path) -> None:
    write_series(tmp_path / "PT0" / "ST0" / "SE0", HEAD)
    for name, data in {
        "DICOMDIR": slice_at(HEAD[0], 0.0, SeriesInstanceUID="1.9"),
        "README.TXT": b"x",
        "report.pdf": b"%PDF-1.4",
        "viewer/app.exe": b"MZ" * 100,
        ".DS_Store": b"x",
        "scout.png": b"\x89PNG\r\n\x1a\n",
        "PT0/ST0/SE0/masks/m.dcm": slice_at(HEAD[0], 0.0, SeriesInstanceUID="1.8"),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.voxels, HEAD)
    (remark,) = volume.remarks
    assert (remark.code, remark.value) == (RemarkCode.PASSED_OVER, 7)
    for count in (
        "4 files that are no scans",
        "1 files beside the volume (scout.png)",
        "1 tumour outlines",
        "1 hidden",
    ):
        assert count in remark.message


def test_a_folder_of_one_nifti_file_is_a_volume_and_of_several_is_none(tmp_path: Path) -> None:
    data = nifti(HEAD.T.astype(np.int16))
    (tmp_path / "a.nii").write_bytes(data)
    (tmp_path / "a_seg.nii").write_bytes(data)
    assert [remark.value for remark in read_volume(tmp_path).remarks] == [1]
    (tmp_path / "b.nii").write_bytes(data)
    with pytest.raises(UnreadableScanError, match=r"2 NIfTI files \(a.nii, b.nii\)"):
        read_volume(tmp_path)


def test_other_files_of_an_upload_are_passed_over() -> None:
    series = {f"{number}": slice_at(pixels, number) for number, pixels in enumerate(HEAD)}
    volume = decode_volume(series | {"readme.txt": b"no scan", "a.zip": b"PK\x03\x04" * 9}, "upload")
    np.testing.assert_array_equal(volume.voxels, HEAD)
    assert [remark.value for remark in volume.remarks] == [2]
    with pytest.raises(UnreadableScanError, match="a zip archive"):
        decode_volume({"a.zip": b"PK\x03\x04" * 9}, "upload")
