"""Reading one slice from a file of any supported format."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

from brainslice.errors import UnreadableScanError
from brainslice.scan.decoder_process import decode_isolated
from brainslice.scan.detect import ScanFormat, detect_format, needs_isolation
from brainslice.scan.error_boundary import as_unreadable
from brainslice.scan.files import file_bytes, of_right_length, printable
from brainslice.scan.raster import read_raster
from brainslice.scan.types import Slice

_Reader: TypeAlias = Callable[[bytes, str, int | None], Slice]

SCAN_SUFFIXES: Final = frozenset(
    {".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".tif", ".tiff", ".bmp", ".webp", ".gif"}
    | {".dcm", ".dicom", ".ima", ".nii", ".nii.gz"}
)
"""Endings, casefolded, of files that are scans by their name; reading looks at the content only."""


def read_scan(path: str | Path, frame: int | None = None) -> Slice:
    """Read one slice from a file; its format is detected by content.

    Args:
        path: A raster image, a DICOM file or a NIfTI file.
        frame: Which of several frames, pages or axial slices, from 1; None where there must be one only.

    Returns:
        Its grey values, upright, with the sha256 of the file's bytes.

    Raises:
        UnreadableScanError: The one error for all that can be wrong: ``<path>: <fault>; <remedy>``.
    """
    try:
        data = file_bytes(Path(path))
    except UnreadableScanError as error:
        msg = f"{printable(str(path))}: {error}"
        raise UnreadableScanError(msg) from error
    return decode_scan(data, str(path), frame)


def decode_scan(data: bytes, name: str, frame: int | None = None) -> Slice:
    """Read one slice from bytes in memory, such as an upload; no file is opened.

    Args:
        data: The file's bytes, whole.
        name: The name for error messages.
        frame: As of ``read_scan``.

    Returns:
        As ``read_scan`` gives.

    Raises:
        UnreadableScanError: As of ``read_scan``.
    """
    try:
        kind = detect_format(of_right_length(data))
        reader = _reader(kind)
        if needs_isolation(kind, data):
            (found,) = decode_isolated(_decode, data, kind, reader, frame)
        else:
            (found,) = _decode(data, kind, reader, frame)
    except UnreadableScanError as error:
        msg = f"{printable(name)}: {error}"
        raise UnreadableScanError(msg) from error
    return found


def _reader(kind: ScanFormat) -> _Reader:
    # Imported on first use: pydicom and nibabel take as long to load as a hundred slices to read.
    if kind is ScanFormat.DICOM:
        from brainslice.scan.dicom.reader import read_dicom  # noqa: PLC0415

        return read_dicom
    if kind is ScanFormat.NIFTI:
        from brainslice.scan.nifti.single_slice import read_nifti_slice  # noqa: PLC0415

        return read_nifti_slice
    return read_raster


def _decode(data: bytes, kind: ScanFormat, reader: _Reader, frame: int | None) -> Iterator[Slice]:
    with as_unreadable(f"the {kind} file"):
        found = reader(data, hashlib.sha256(data).hexdigest(), frame)
    yield found
