from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainslice.errors import UnreadableScanError
from brainslice.scan import SCAN_SUFFIXES, Slice, decode_scan, read_scan
from hospital import image, nifti
from hospital import written as written_dicom

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def written(path: Path) -> Path:
    Image.fromarray(GREY).save(path, "PNG")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(UnreadableScanError) as caught:
        read_scan(path)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.startswith(f"{path}: ")
    assert "; " in message
    return message


@pytest.mark.parametrize("name", ["scan.png", "scan.jpg", "scan", "scan.txt", "Scan.PNG"])
def test_the_format_is_detected_by_content_not_by_suffix(tmp_path: Path, name: str) -> None:
    np.testing.assert_array_equal(read_scan(written(tmp_path / name)).pixels, GREY)


def test_a_slice_carries_the_sha256_of_its_file(tmp_path: Path) -> None:
    path = written(tmp_path / "scan.png")
    assert read_scan(path).digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_scan_suffixes_are_casefolded_and_begin_with_a_dot() -> None:
    assert {".png", ".jpg", ".jpeg", ".dcm"} <= SCAN_SUFFIXES
    assert all(ending.startswith(".") and ending == ending.casefold() for ending in SCAN_SUFFIXES)


def test_a_missing_file_is_named_with_a_remedy(tmp_path: Path) -> None:
    assert "no such file; check the path" in refusal(tmp_path / "gone.png")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.png"
    path.touch()
    assert "empty" in refusal(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "got a folder" in refusal(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert "a device or a pipe" in refusal(tmp_path / "pipe.png")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_nobody_may_read_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "scan.png")
    path.chmod(0)
    assert "who may read it" in refusal(path)


def test_an_impossible_path_is_refused() -> None:
    with pytest.raises(UnreadableScanError, match="cannot be opened"):
        read_scan(Path("nul\0byte.png"))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("gzip", gzip.compress(b"volume", mtime=0)),
        ("PDF", b"%PDF-1.7"),
    ],
)
def test_the_refusal_of_an_unsupported_format_names_it(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / "scan.png"
    path.write_bytes(data)
    message = refusal(path)
    assert name in message
    assert "export the slice as PNG" in message


@pytest.mark.parametrize("name", ["DICOM", "NIfTI"])
def test_damaged_dicom_and_nifti_files_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "scan.png"
    path.write_bytes(bytes(128) + b"DICM" + bytes(64) if name == "DICOM" else bytes(344) + b"n+1\0" + bytes(64))
    assert name in refusal(path)


def test_one_image_is_read_alike_from_every_format(tmp_path: Path) -> None:
    (tmp_path / "dicom").write_bytes(written_dicom(image(GREY)))
    (tmp_path / "nifti").write_bytes(nifti(GREY[::-1, ::-1].T[..., None].copy()))
    for name in ("dicom", "nifti"):
        np.testing.assert_array_equal(read_scan(tmp_path / name).pixels, GREY)


def test_a_frame_is_chosen_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "frames"
    path.write_bytes(written_dicom(image(np.stack([GREY, GREY + 1]))))
    assert "--frame N" in refusal(path)
    np.testing.assert_array_equal(read_scan(path, frame=2).pixels, GREY + 1)


def test_an_archive_is_named_in_the_refusal(tmp_path: Path) -> None:
    path = tmp_path / "scan.png"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("scan.png", b"")
    assert "zip archive" in refusal(path)


def test_a_line_feed_in_a_name_does_not_break_the_line(tmp_path: Path) -> None:
    path = tmp_path / "two\nlines.png"
    path.write_bytes(b"nothing")
    with pytest.raises(UnreadableScanError) as caught:
        read_scan(path)
    assert len(str(caught.value).splitlines()) == 1
    assert "two\\nlines.png" in str(caught.value)


def test_bytes_in_memory_give_the_slice_that_their_file_gives(tmp_path: Path) -> None:
    path = tmp_path / "scan.png"
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(path)
    of_file, of_bytes = read_scan(path), decode_scan(path.read_bytes(), "scan.png")
    np.testing.assert_array_equal(of_bytes.pixels, of_file.pixels)
    assert of_bytes.digest == of_file.digest


@pytest.mark.parametrize("data", [b"", b"nothing", b"%PDF-1.7"])
def test_the_refusal_of_bytes_in_memory_states_their_name(data: bytes) -> None:
    with pytest.raises(UnreadableScanError, match=r"^two\\nlines: ") as caught:
        decode_scan(data, "two\nlines")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.real
def test_real_scans_of_every_ending_and_mode_become_slices(real_scans: Path) -> None:
    external = [path for path in sorted((real_scans / "navoneel").rglob("*")) if path.is_file()]
    assert {path.suffix for path in external} >= {".jpg", ".JPG", ".jpeg", ".png"}
    for path in external[::6]:
        scan = read_scan(path)
        assert min(scan.pixels.shape) > 100
        assert scan.pixels.max() > scan.pixels.min()


_READ_ALL = """
import re, sys
from pathlib import Path
from brainslice.errors import UnreadableScanError
from brainslice.scan import read_scan
slices = refused = 0
for path in sorted(Path(sys.argv[1]).rglob("*")):
    if path.is_file():
        try:
            read_scan(path)
            slices += 1
        except UnreadableScanError as error:
            assert str(error).startswith(str(path)) and len(str(error).splitlines()) == 1, error
            refused += 1
# The peak of this program alone: what getrusage tells begins with the memory of whoever started it.
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(slices, refused, int(peak.group(1)) // 1024)
"""


@pytest.mark.real
@pytest.mark.skipif(sys.platform != "linux", reason="measures memory the way Linux counts it")
def test_each_damaged_file_gives_a_slice_or_one_refusal_in_bounded_memory(real_scans: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", _READ_ALL, str(real_scans / "hostile")]
    outcome = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    slices, refused, megabytes = map(int, outcome.stdout.split())
    assert slices + refused > 400
    assert min(slices, refused) > 100
    assert megabytes < 500


@pytest.mark.real
def test_every_valid_file_of_the_png_suite_opens(real_scans: Path) -> None:
    valid = sorted((real_scans / "hostile" / "pngsuite_valid").glob("*.png"))
    assert len(valid) > 50
    assert all(isinstance(read_scan(path), Slice) for path in valid)
