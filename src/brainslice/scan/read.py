"""Reading one slice from a file of any supported format."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

from brainslice.errors import UnreadableScanError
from brainslice.remote import RemoteFile, ScanPath
from brainslice.scan.decoder_process import decode_isolated
from brainslice.scan.detect import ScanFormat, detect_format, needs_isolation
from brainslice.scan.error_boundary import as_unreadable
from brainslice.scan.files import check_length, check_size, file_bytes, printable
from brainslice.scan.raster import read_raster
from brainslice.scan.types import Slice

_Reader: TypeAlias = Callable[[bytes, str, int | None], Slice]

SCAN_SUFFIXES: Final = frozenset(
    {".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".tif", ".tiff", ".bmp", ".webp", ".gif"}
    | {".dcm", ".dicom", ".ima", ".nii", ".nii.gz"}
)
"""Casefolded suffixes of scans; reading detects the format by content."""


def read_scan(path: str | ScanPath, frame: int | None = None) -> Slice:
    """Read one slice from a file; its format is detected by content.

    Args:
        path: A raster image, a DICOM file or a NIfTI file.
        frame: The frame, page or axial slice, from 1; None where the file must have one only.

    Returns:
        The grey values, upright, with the sha256 of the file.

    Raises:
        UnreadableScanError: The file cannot be read; the message is ``<path>: <fault>; <remedy>``.
        DownloadError: The store of the file cannot be reached or does not allow it.
    """
    try:
        data = _bytes_of(path) if isinstance(path, RemoteFile) else file_bytes(Path(path))
    except UnreadableScanError as error:
        msg = f"{printable(str(path))}: {error}"
        raise UnreadableScanError(msg) from error
    return decode_scan(data, str(path), frame)


def decode_scan(data: bytes, name: str, frame: int | None = None) -> Slice:
    """Read one slice from bytes in memory, such as an upload.

    Args:
        data: All bytes of the file.
        name: The name for error messages.
        frame: As for ``read_scan``.

    Returns:
        As ``read_scan``.

    Raises:
        UnreadableScanError: As for ``read_scan``.
    """
    try:
        kind = detect_format(check_length(data))
        reader = _reader(kind)
        if needs_isolation(kind, data):
            (found,) = decode_isolated(_decode, data, kind, reader, frame)
        else:
            (found,) = _decode(data, kind, reader, frame)
    except UnreadableScanError as error:
        msg = f"{printable(name)}: {error}"
        raise UnreadableScanError(msg) from error
    return found


def _bytes_of(file: RemoteFile) -> bytes:
    check_size(file.size())
    return file.read()


def _reader(kind: ScanFormat) -> _Reader:
    # Imported on first use: loading pydicom or nibabel takes as long as reading a hundred slices.
    if kind is ScanFormat.DICOM:
        from brainslice.scan.dicom.reader import read_dicom  # noqa: PLC0415

        return read_dicom
    if kind is ScanFormat.NIFTI:
        from brainslice.scan.nifti.reader import read_nifti_slice  # noqa: PLC0415

        return read_nifti_slice
    return read_raster


def _decode(data: bytes, kind: ScanFormat, reader: _Reader, frame: int | None) -> Iterator[Slice]:
    with as_unreadable(f"the {kind} file"):
        found = reader(data, hashlib.sha256(data).hexdigest(), frame)
    yield found
