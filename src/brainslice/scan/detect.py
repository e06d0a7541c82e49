"""What a file is: known by how it begins, and not by how it is called."""

from __future__ import annotations

import zlib
from enum import StrEnum
from pathlib import Path
from typing import Final

from brainslice.errors import UnreadableScanError
from brainslice.scan.decompress import decompress
from brainslice.scan.files import opening_bytes

OPENING: Final = 1024
"""So many bytes of a file, or of what it holds compressed, are enough to know it."""


class ScanFormat(StrEnum):
    """The families of files that become scans."""

    RASTER = "picture"
    DICOM = "DICOM"
    NIFTI = "NIfTI"


_GZIP: Final = b"\x1f\x8b"
_FOREIGN: Final = (
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\x89HDF", "an HDF5 file"),
    (344, b"ni1\0", "a NIfTI header whose voxels lie in another file"),
    (4, b"ni2\0", "a NIfTI header whose voxels lie in another file"),
)
# The first tag of a DICOM file without a preamble is of group 2 or 8, as old archives wrote it.
_BARE_GROUPS: Final = (b"\x02\x00", b"\x08\x00", b"\x00\x08")
_VALUE_TYPES: Final = frozenset({b"UL", b"UI", b"CS", b"OB", b"SH", b"LO", b"DA", b"TM"})
_LONGEST_FIRST_VALUE: Final = 256


def detect_format(data: bytes) -> ScanFormat:
    """Tell the family of a file.

    Args:
        data: The file's first bytes, ``OPENING`` of them or all.

    Returns:
        The family; what is known for nothing else counts as a picture, and its reader decides.

    Raises:
        UnreadableScanError: The file is known for something that holds no scan.
    """
    if data[128:132] == b"DICM" or _is_bare_dicom(data):
        return ScanFormat.DICOM
    if _is_nifti(data):
        return ScanFormat.NIFTI
    if data[:2] == _GZIP:
        return _inside_gzip(data)
    for offset, signature, name in _FOREIGN:
        if data[offset : offset + len(signature)] == signature:
            raise UnreadableScanError(_foreign(name))
    return ScanFormat.RASTER


def is_dicom(path: Path) -> bool:
    """Tell whether a file is a DICOM file, with a preamble or without; what cannot be opened is none."""
    try:
        return detect_format(opening_bytes(path, OPENING)) is ScanFormat.DICOM
    except UnreadableScanError:
        return False


def _inside_gzip(data: bytes) -> ScanFormat:
    try:
        opening = decompress(data, OPENING)
    except zlib.error:
        opening = b""
    if _is_nifti(opening):
        return ScanFormat.NIFTI
    raise UnreadableScanError(_foreign("a gzip file without NIfTI in it"))


def _is_nifti(data: bytes) -> bool:
    return data[344:348] == b"n+1\0" or data[4:8] == b"n+2\0"


def _is_bare_dicom(data: bytes) -> bool:
    if data[:2] not in _BARE_GROUPS or len(data) < OPENING // 8:
        return False
    # After the tag, an explicit value type, or an implicit length that is as short as that of a first value.
    return data[4:6] in _VALUE_TYPES or 0 < int.from_bytes(data[4:8], "little") <= _LONGEST_FIRST_VALUE


def _foreign(name: str) -> str:
    return f"must be a picture, DICOM or NIfTI, got {name}; export the slice as PNG"
