"""File format detection by content; file names are not used."""

from __future__ import annotations

import zlib
from enum import StrEnum
from pathlib import Path
from typing import Final

from brainslice.errors import UnreadableScanError
from brainslice.scan.decompress import decompress
from brainslice.scan.files import leading_bytes

OPENING: Final = 1024
"""Bytes at the start of a file that suffice to detect its format."""


class ScanFormat(StrEnum):
    """Formats of scans."""

    RASTER = "picture"
    DICOM = "DICOM"
    NIFTI = "NIfTI"


_GZIP: Final = b"\x1f\x8b"
_UNSUPPORTED: Final = (
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\x89HDF", "an HDF5 file"),
    (344, b"ni1\0", "a NIfTI header whose voxels lie in another file"),
    (4, b"ni2\0", "a NIfTI header whose voxels lie in another file"),
)
# DICOM files without a preamble, as old archives wrote them, begin with a tag of group 2 or 8.
_FIRST_GROUPS: Final = (b"\x02\x00", b"\x08\x00", b"\x00\x08")
_VALUE_REPRESENTATIONS: Final = frozenset({b"UL", b"UI", b"CS", b"OB", b"SH", b"LO", b"DA", b"TM"})
_MAX_FIRST_VALUE: Final = 256
_META: Final = b"\x02\x00"
_TRANSFER_SYNTAX: Final = b"\x02\x00\x10\x00"
_LONG_VALUES: Final = frozenset({b"OB", b"OW", b"UN", b"SQ", b"UT"})
# Implicit and explicit little endian, explicit big endian, or not given; lossless JPEG, which is decoded in Python.
_IN_PROCESS: Final = frozenset(
    {
        *("", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"),
        *("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"),
    }
)
# TIFF and BigTIFF, GIF, WebP.
_ISOLATED: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"GIF8", b"RIFF")
_RLE: Final = (b"\1\0\0\0", b"\2\0\0\0")
# Progressive JPEG files have about ten.
_MAX_USUAL_SCANS: Final = 16


def detect_format(data: bytes) -> ScanFormat:
    """Detect the format of a file.

    Args:
        data: The file's first bytes, ``OPENING`` of them or all.

    Returns:
        The format; ``RASTER`` for all other files, which Pillow then accepts or refuses.

    Raises:
        UnreadableScanError: The file has a known format that is not supported.
    """
    if data[128:132] == b"DICM" or _is_dicom_without_preamble(data):
        return ScanFormat.DICOM
    if _is_nifti(data):
        return ScanFormat.NIFTI
    if data[:2] == _GZIP:
        return _gzip_format(data)
    for offset, signature, name in _UNSUPPORTED:
        if data[offset : offset + len(signature)] == signature:
            raise UnreadableScanError(_unsupported(name))
    return ScanFormat.RASTER


def is_dicom(path: Path) -> bool:
    """Check for a DICOM file, with a preamble or without; False where it cannot be opened."""
    try:
        return detect_format(leading_bytes(path, OPENING)) is ScanFormat.DICOM
    except UnreadableScanError:
        return False


def needs_isolation(kind: ScanFormat, data: bytes) -> bool:
    """Check whether a file has to be decoded in a separate process.

    That is so where its decoder may crash, loop, or need time or memory out of proportion to its size.

    Args:
        kind: The format.
        data: All bytes of the file.
    """
    if kind is ScanFormat.RASTER:
        is_rle = data[:2] == b"BM" and data[30:34] in _RLE
        many_scans = data[:2] == b"\xff\xd8" and data.count(b"\xff\xda") > _MAX_USUAL_SCANS
        return data.startswith(_ISOLATED) or is_rle or many_scans or b"acTL" in data[: data.find(b"IDAT")]
    if kind is ScanFormat.DICOM:
        return transfer_syntax(data)[1] not in _IN_PROCESS or b"PALETTE" in data
    return False


def transfer_syntax(data: bytes) -> tuple[int, str]:
    """Return the offset of the data set of a DICOM file, and its transfer syntax UID; empty where it has none."""
    at, syntax = (132 if data[128:132] == b"DICM" else 0), ""
    while data[at : at + 2] == _META:
        long = data[at + 4 : at + 6] in _LONG_VALUES
        start = at + (12 if long else 8)
        end = start + int.from_bytes(data[at + 8 : start] if long else data[at + 6 : start], "little")
        if data[at : at + 4] == _TRANSFER_SYNTAX:
            syntax = data[start:end].rstrip(b"\0 ").decode("ascii", "replace")
        at = end
    return at, syntax


def _gzip_format(data: bytes) -> ScanFormat:
    try:
        opening = bytes(decompress(data, OPENING))
    except zlib.error:
        opening = b""
    if _is_nifti(opening):
        return ScanFormat.NIFTI
    raise UnreadableScanError(_unsupported("a gzip file without NIfTI in it"))


def _is_nifti(data: bytes) -> bool:
    return data[344:348] == b"n+1\0" or data[4:8] == b"n+2\0"


def _is_dicom_without_preamble(data: bytes) -> bool:
    if data[:2] not in _FIRST_GROUPS or len(data) < OPENING // 8:
        return False
    # After the tag: an explicit value representation, or the short length of an implicit one.
    return data[4:6] in _VALUE_REPRESENTATIONS or 0 < int.from_bytes(data[4:8], "little") <= _MAX_FIRST_VALUE


def _unsupported(name: str) -> str:
    return f"must be a picture, DICOM or NIfTI, got {name}; export the slice as PNG"
