from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainslice.errors import UnreadableScanError
from brainslice.scan import decode_volume, read_volume
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
def test_what_is_no_volume_is_refused_by_name(tmp_path: Path, content: str) -> None:
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
    monkeypatch.setattr("brainslice.scan.volume.reader.MOST_FILES", 5)
    with pytest.raises(UnreadableScanError, match="at most 5 DICOM files"):
        read_volume(write_series(tmp_path / "series", HEAD))


def test_a_name_that_no_system_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableScanError, match=r"cannot be opened|no such file"):
        read_volume(tmp_path / ("x" * 300))


def test_several_nifti_files_at_once_are_no_volume() -> None:
    data = nifti(HEAD.astype(np.int16))
    with pytest.raises(UnreadableScanError, match="one NIfTI file"):
        decode_volume({"a": data, "b": data}, "upload")
