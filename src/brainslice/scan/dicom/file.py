"""A DICOM file's bytes become the few elements that are needed, and no other is ever looked at."""

from __future__ import annotations

import io
from typing import Final

from pydicom import Dataset, FileDataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from brainslice.errors import UnreadableScanError
from brainslice.scan.decompress import DEFLATE, decompress

MOST_INFLATED: Final = 128 * 1024 * 1024
"""A deflated file may hold so many bytes; half a megabyte of it could hold gigabytes."""

# All that is ever read. Names, birth dates, identifiers of persons and comments are not in this list, so they
# become no value that anything could log; what a file holds besides is skipped by its length.
_ELEMENTS: Final = (
    *("Modality", "SeriesInstanceUID", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient"),
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelSpacing"),
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    *(
        f"{colour}PaletteColorLookupTable{part}"
        for colour in ("Red", "Green", "Blue")
        for part in ("Descriptor", "Data")
    ),
    *(f"Segmented{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *("PixelData", "FloatPixelData", "DoubleFloatPixelData"),
)

_META: Final = b"\x02\x00"
_TRANSFER_SYNTAX: Final = b"\x02\x00\x10\x00"
_LONG: Final = frozenset({b"OB", b"OW", b"UN", b"SQ", b"UT"})


def open_dicom(data: bytes, *, pixels: bool = True) -> Dataset:
    """Take from a DICOM file what pictures need.

    Args:
        data: The file's bytes, with a preamble or without.
        pixels: Whether to take the pictures themselves too.

    Returns:
        The elements, with the transfer syntax that tells how pictures are compressed.

    Raises:
        UnreadableScanError: The file inflates to more than ``MOST_INFLATED`` bytes.
        Exception: Whatever pydicom raises of damaged files.
    """
    body, syntax = _after_meta(data)
    deflated = syntax == DeflatedExplicitVRLittleEndian
    if deflated:
        data = decompress(data[body:], MOST_INFLATED + 1, DEFLATE)
        if len(data) > MOST_INFLATED:
            msg = f"must hold at most {MOST_INFLATED:,} bytes once inflated, got more; export it uncompressed"
            raise UnreadableScanError(msg)
    found = dcmread(io.BytesIO(data), stop_before_pixels=not pixels, force=True, specific_tags=list(_ELEMENTS))
    if deflated or found.file_meta.get("TransferSyntaxUID") is None:
        found.file_meta = FileMetaDataset()
        found.file_meta.TransferSyntaxUID = UID(_syntax_read(found))
    return found


def _syntax_read(found: FileDataset) -> str:
    implicit, little = found.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _after_meta(data: bytes) -> tuple[int, str]:
    """Find where the elements begin that may be deflated, and the transfer syntax, empty where none is told."""
    at, syntax = (132 if data[128:132] == b"DICM" else 0), ""
    while data[at : at + 2] == _META:
        long = data[at + 4 : at + 6] in _LONG
        start = at + (12 if long else 8)
        end = start + int.from_bytes(data[at + 8 : start] if long else data[at + 6 : start], "little")
        if data[at : at + 4] == _TRANSFER_SYNTAX:
            syntax = data[start:end].rstrip(b"\0 ").decode("ascii", "replace")
        at = end
    return at, syntax
