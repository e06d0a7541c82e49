from __future__ import annotations

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.errors import UnreadableScanError
from brainslice.scan.detect import ScanFormat, detect_format
from hospital import image, nifti, written

GREY = np.ones((4, 4), np.uint16)
DICOM = written(image(GREY))
NIFTI = nifti(np.ones((3, 4, 5), np.float32))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (DICOM, ScanFormat.DICOM),
        (DICOM[132:], ScanFormat.DICOM),
        (NIFTI, ScanFormat.NIFTI),
        (nifti(np.ones((3, 4, 5), np.float32), second=True), ScanFormat.NIFTI),
        (gzip.compress(NIFTI, mtime=0), ScanFormat.NIFTI),
        (b"\x89PNG\r\n\x1a\n", ScanFormat.RASTER),
        (b"\x08\x00", ScanFormat.RASTER),
        (b"", ScanFormat.RASTER),
    ],
)
def test_formats_are_detected_by_leading_bytes(data: bytes, kind: ScanFormat) -> None:
    assert detect_format(data) is kind
    assert detect_format(data[:1024]) is kind


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"PK\x03\x04", "zip archive"),
        (b"%PDF-1.7", "PDF"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (gzip.compress(b"letters", mtime=0), "gzip file without NIfTI"),
        (b"\x1f\x8bdamaged from here on", "gzip file without NIfTI"),
        (NIFTI[:344] + b"ni1\0", "another file"),
    ],
)
def test_unsupported_formats_are_named(data: bytes, name: str) -> None:
    with pytest.raises(UnreadableScanError, match=name):
        detect_format(data)


@given(st.binary(max_size=1200))
def test_random_bytes_raise_unreadable_scan_error_only(data: bytes) -> None:
    try:
        kind = detect_format(data)
    except UnreadableScanError:
        kind = ScanFormat.RASTER
    assert kind in ScanFormat
