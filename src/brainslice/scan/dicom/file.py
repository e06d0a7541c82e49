"""Parsing of DICOM files: the elements needed to read pixels, with limits on header values."""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
from pydicom import Dataset, FileDataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from brainslice.errors import UnreadableScanError
from brainslice.scan.decompress import DEFLATE, decompress
from brainslice.scan.detect import transfer_syntax

MAX_INFLATED: Final = 64 * 1024 * 1024
"""Maximum bytes of a deflated file after expansion."""

MAX_FRAMES: Final = 20_000
"""Maximum number of frames of a file."""

# Names, birth dates, identifiers of persons and comments are not in this list: what is not read cannot be logged.
_ELEMENTS: Final = (
    *("Modality", "SeriesInstanceUID", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient"),
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue"),
    *("PixelPaddingRangeLimit", "PixelSpacing", "PixelAspectRatio", "ImageType"),
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

_MAX_ENTRIES: Final = 1 << 16
_BYTE: Final = 8
_DISCRETE, _REPEAT = 0, 2


def open_dicom(data: bytes, *, pixels: bool = True) -> Dataset:
    """Parse the elements of a DICOM file that are needed to read its pixels.

    Args:
        data: All bytes of the file, with or without a preamble.
        pixels: Whether to read the pixel data.

    Returns:
        The elements, with the transfer syntax.

    Raises:
        UnreadableScanError: The file expands to more than ``MAX_INFLATED`` bytes, or its header claims more frames
            or palette entries than the limits allow.
        Exception: pydicom cannot parse the file.
    """
    body, syntax = transfer_syntax(data)
    deflated = syntax == DeflatedExplicitVRLittleEndian
    if deflated:
        data = bytes(decompress(data[body:], MAX_INFLATED + 1, DEFLATE))
        if len(data) > MAX_INFLATED:
            msg = f"must hold at most {MAX_INFLATED:,} bytes once inflated, got more; export it uncompressed"
            raise UnreadableScanError(msg)
    found = dcmread(io.BytesIO(data), stop_before_pixels=not pixels, force=True, specific_tags=list(_ELEMENTS))
    if deflated or found.file_meta.get("TransferSyntaxUID") is None:
        found.file_meta = FileMetaDataset()
        found.file_meta.TransferSyntaxUID = UID(_detected_syntax(found))
    _check_frames(found, len(data))
    _check_palettes(found)
    return found


def read_decimals(source: Dataset, keyword: str) -> Any:  # noqa: ANN401 - as pydicom gives it
    """Read decimal strings; decimal commas, which pydicom leaves as text, become points."""
    value = source.get(keyword)
    if isinstance(value, str):
        return value.replace(",", ".")
    if isinstance(value, MultiValue) and any(isinstance(each, str) for each in value):
        return [str(each).replace(",", ".") for each in value]
    return value


def _check_frames(found: FileDataset, length: int) -> None:
    frames = int(found.get("NumberOfFrames") or 1)
    smallest = 1
    if not found.file_meta.TransferSyntaxUID.is_encapsulated:
        samples = int(found.get("SamplesPerPixel") or 1) * int(found.get("Rows") or 0) * int(found.get("Columns") or 0)
        smallest = max(1, samples * int(found.get("BitsAllocated") or 1) // 8)
    most = max(1, min(MAX_FRAMES, length // smallest))
    if frames > most:
        msg = f"a file of {length:,} bytes must hold at most {most:,} frames, got {frames:,}; copy or export it again"
        raise UnreadableScanError(msg)


def _check_palettes(found: FileDataset) -> None:
    for element in found:
        if element.keyword.startswith("Segmented"):
            descriptor = element.keyword.removeprefix("Segmented").removesuffix("Data") + "Descriptor"
            bits = 16 if found[descriptor].value[2] > _BYTE else _BYTE
            words = np.frombuffer(element.value, f"<u{bits // 8}", len(element.value) // (bits // 8)).tolist()
            _count_entries(words, bits, 0, 0, _MAX_ENTRIES)


def _count_entries(words: list[int], bits: int, at: int, segments: int, left: int) -> int:
    """Count the entries of a segmented palette without expanding it, since segments may repeat others.

    Args:
        words: The segments.
        bits: The size of a word.
        at: The offset of the first segment.
        segments: The number of segments to count; 0 for all.
        left: The number of entries allowed.

    Returns:
        The number of entries still allowed.

    Reference:
        DICOM PS3.3, C.7.9.2, Segmented Palette Color Lookup Table Data.
    """
    while at + 1 < len(words):
        kind, length = words[at : at + 2]
        left -= 1 if kind == _REPEAT else max(1, length)
        if left < 0:
            msg = f"a palette must have at most {_MAX_ENTRIES:,} entries, got more; export the file again"
            raise UnreadableScanError(msg)
        at += 2
        if kind == _REPEAT:
            pointer = words[at : at + 32 // bits]
            start = sum(word << bits * place for place, word in enumerate(pointer))
            left = _count_entries(words, bits, start, length, left)
            at += len(pointer)
        else:
            at += length if kind == _DISCRETE else 1
        segments -= 1
        if segments == 0:
            break
    return left


def _detected_syntax(found: FileDataset) -> str:
    implicit, little = found.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian
