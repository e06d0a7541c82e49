"""The one door through which a file becomes a slice."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from brainslice.errors import UnreadableScanError
from brainslice.scan.detect import ScanFormat, detect_format
from brainslice.scan.error_boundary import as_unreadable
from brainslice.scan.files import file_bytes, of_right_length, printable
from brainslice.scan.raster import read_raster
from brainslice.scan.types import Slice

SCAN_SUFFIXES: Final = frozenset(
    {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".dcm", ".dicom", ".ima"}
)
"""Endings, casefolded, of the files that folders are searched for; reading looks at the content only."""


def read_scan(path: Path, frame: int | None = None) -> Slice:
    """Read one slice from a file, known by its content and not by its ending.

    Args:
        path: A picture, a DICOM file or a NIfTI file.
        frame: Which of several frames, pages or axial slices, from 1; None where there must be one only.

    Returns:
        Its grey values, upright, with the sha256 of the file's bytes.

    Raises:
        UnreadableScanError: The one error for all that can be wrong: ``<path>: <fault>; <remedy>``.
    """
    try:
        data = file_bytes(path)
    except UnreadableScanError as error:
        msg = f"{printable(str(path))}: {error}"
        raise UnreadableScanError(msg) from error
    return decode_scan(data, str(path), frame)


def decode_scan(data: bytes, name: str, frame: int | None = None) -> Slice:
    """Read one slice from bytes that are in memory already, as those of an upload are; no file is touched.

    Args:
        data: The file's bytes, whole.
        name: What errors call it.
        frame: As of ``read_scan``.

    Returns:
        As ``read_scan`` gives.

    Raises:
        UnreadableScanError: As of ``read_scan``.
    """
    try:
        digest = hashlib.sha256(of_right_length(data)).hexdigest()
        kind = detect_format(data)
        if kind is ScanFormat.RASTER:
            return read_raster(data, digest, frame)
        with as_unreadable(f"the {kind} file"):
            return _read_hospital_format(kind, data, digest, frame)
    except UnreadableScanError as error:
        msg = f"{printable(name)}: {error}"
        raise UnreadableScanError(msg) from error


def _read_hospital_format(kind: ScanFormat, data: bytes, digest: str, frame: int | None) -> Slice:
    # Their libraries are loaded only when such a file comes.
    if kind is ScanFormat.DICOM:
        from brainslice.scan.dicom.reader import read_dicom  # noqa: PLC0415 - a door to pydicom

        return read_dicom(data, digest, frame)
    from brainslice.scan.nifti.single_slice import read_nifti_slice  # noqa: PLC0415 - a door to nibabel

    return read_nifti_slice(data, digest, frame)
