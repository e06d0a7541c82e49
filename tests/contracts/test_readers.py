"""What every reader promises, whatever the format: equal pixels, one refusal, silence, bounded memory, no names."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from brainslice.errors import UnreadableScanError
from brainslice.scan import Slice, decode_scan, decode_volume, read_scan, read_volume
from hospital import COMPRESSED, PATIENT, SERIES, big_endian, compressed, head, image, nifti, slice_at, written

GREY = np.random.default_rng(6).integers(0, 256, (40, 48)).astype(np.uint16)


def picture(encoding: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(GREY.astype(np.uint8)).save(buffer, encoding)
    return buffer.getvalue()


FORMATS: dict[str, Callable[[], bytes]] = {
    **{encoding: lambda encoding=encoding: picture(encoding) for encoding in ("PNG", "TIFF", "BMP")},
    "DICOM": lambda: written(image(GREY)),
    "DICOM, big endian": lambda: big_endian(image(GREY)),
    **{f"DICOM, {syntax.name}": lambda syntax=syntax: compressed(image(GREY), syntax) for syntax in COMPRESSED},
    "NIfTI": lambda: nifti(GREY[::-1, ::-1].T[..., None].astype(np.int16)),
    "NIfTI-2, compressed": lambda: gzip.compress(nifti(GREY[::-1, ::-1].T[..., None].astype(np.int16), second=True)),
}
DATA = {name: make() for name, make in FORMATS.items()}


@pytest.mark.parametrize("name", DATA)
def test_one_image_gives_equal_pixels_in_every_format(name: str) -> None:
    np.testing.assert_array_equal(decode_scan(DATA[name], name).pixels, GREY)


@pytest.mark.parametrize("name", DATA)
@given(data=st.data())
def test_a_damaged_file_gives_a_slice_or_the_one_refusal(name: str, data: st.DataObject) -> None:
    damaged = bytearray(DATA[name])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        scan = decode_scan(bytes(damaged[: data.draw(st.integers(1, len(damaged)))]), "damaged")
    except UnreadableScanError as error:
        message = str(error)
    else:
        message = f"damaged: {scan.digest}; fine"
        assert np.isfinite(scan.pixels).all()
    assert message.startswith("damaged: ")
    assert "; " in message
    assert len(message.splitlines()) == 1
    assert not any(secret in message for secret in (PATIENT, SERIES, "4711", "19700101"))


@given(data=st.data())
def test_a_damaged_series_gives_a_volume_or_the_one_refusal(data: st.DataObject) -> None:
    files = [bytearray(slice_at(pixels, number)) for number, pixels in enumerate(head(4, 16))]
    for _ in range(data.draw(st.integers(1, 6))):
        damaged = data.draw(st.sampled_from(files))
        damaged[data.draw(st.integers(132, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        message = repr(decode_volume({f"{number}": bytes(each) for number, each in enumerate(files)}, "damaged"))
    except UnreadableScanError as error:
        message = str(error)
        assert message.startswith("damaged: ")
    assert PATIENT not in message


def test_no_value_of_a_scan_names_a_patient(tmp_path: Path) -> None:
    data = slice_at(GREY, 1.0)
    assert PATIENT.encode() in data
    scan = decode_scan(data, "scan")
    assert not any(secret in repr(scan) for secret in (PATIENT, SERIES, "4711", "19700101"))
    (tmp_path / "scan").write_bytes(data)
    with pytest.raises(UnreadableScanError) as caught:
        read_volume(tmp_path / "scan")
    assert not any(secret in str(caught.value) for secret in (PATIENT, SERIES, "4711", "19700101"))


_READ_ALL = """
import json, re, sys, time
from pathlib import Path
from brainslice.errors import UnreadableScanError
from brainslice.scan import read_scan, read_volume
told, slowest = {}, 0.0
for path in sorted(Path(sys.argv[1]).rglob("*")):
    if path.is_file():
        outcome = []
        for read in (read_scan, read_volume):
            start = time.perf_counter()
            try:
                read(path)
                outcome.append("read")
            except UnreadableScanError as error:
                assert str(error).startswith(str(path)) and len(str(error).splitlines()) == 1, error
                outcome.append(str(error))
            slowest = max(slowest, time.perf_counter() - start)
        told[str(path.relative_to(sys.argv[1]))] = outcome
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(json.dumps({"told": told, "slowest": slowest, "megabytes": int(peak.group(1)) // 1024}))
"""


def all_of(folder: Path) -> tuple[dict[str, list[str]], str]:
    """How every file of a folder is read as a slice and as a volume, by a process that treats warnings as errors."""
    command = [sys.executable, "-W", "error", "-c", _READ_ALL, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    said = json.loads(done.stdout)
    assert said["megabytes"] < 500
    assert said["slowest"] < 30
    return said["told"], done.stderr


@pytest.mark.real
@pytest.mark.skipif(sys.platform != "linux", reason="measures memory the way Linux counts it")
@pytest.mark.parametrize(
    ("folder", "fewest_files", "fewest_read"),
    [("hostile", 430, 180), ("dicom", 58, 47), ("nifti", 13, 8), ("not_brain_mri", 30, 30)],
)
def test_every_real_file_is_read_or_refused(real_scans: Path, folder: str, fewest_files: int, fewest_read: int) -> None:
    told, said = all_of(real_scans / folder)
    assert len(told) >= fewest_files
    assert sum("read" in outcome for outcome in told.values()) >= fewest_read
    # Only the C library behind Pillow's TIFF reader still prints, past Python.
    complaints = [line for line in said.splitlines() if not line.startswith(("TIFF", "ZIP", "_tiff", "tempfile.tif"))]
    assert not complaints


@pytest.mark.real
def test_the_real_variants_of_one_image_are_equal(real_scans: Path) -> None:
    folder = real_scans / "dicom" / "single"
    names = ("RLE", "bigendian", "expb", "implicit", "jp2klossless", "jpeg_ls_lossless")
    expected = read_scan(folder / "MR_small.dcm")
    for name in names:
        np.testing.assert_array_equal(read_scan(folder / f"MR_small_{name}.dcm").pixels, expected.pixels)
    frames = [read_scan(folder / "emri_small.dcm", frame=number).pixels for number in (1, 10)]
    for name in ("RLE", "big_endian", "jpeg_2k_lossless", "jpeg_ls_lossless"):
        for number, pixels in zip((1, 10), frames, strict=True):
            np.testing.assert_array_equal(read_scan(folder / f"emri_small_{name}.dcm", frame=number).pixels, pixels)


@pytest.mark.real
def test_a_real_series_lies_in_order_and_its_names_stay_behind(real_scans: Path) -> None:
    volume = read_volume(real_scans / "dicom" / "series_head")
    assert volume.voxels.shape == (256, 256, 32)
    assert volume.spacing == pytest.approx((0.859, 0.859, 5.41), abs=0.01)
    steps = np.abs(np.diff(volume.voxels.mean(axis=(0, 1))))
    shuffled = np.abs(np.diff(np.random.default_rng(0).permutation(volume.voxels.mean(axis=(0, 1)))))
    assert steps.mean() < shuffled.mean() / 2


@pytest.mark.real
def test_the_template_stands_on_its_neck(real_scans: Path) -> None:
    volume = read_volume(next((real_scans / "nifti").glob("mni152*")))
    assert volume.spacing == (1.0, 1.0, 1.0)
    areas = (volume.voxels > volume.voxels.max() / 8).mean(axis=(1, 2))
    assert areas[:10].mean() > areas[-10:].mean()
    cut = volume.axial_slice(0)
    assert isinstance(cut, Slice)
    assert cut.pixels.shape == (233, 197)
