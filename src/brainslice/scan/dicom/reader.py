"""A DICOM file becomes a slice."""

from __future__ import annotations

from typing import Final

from pydicom import Dataset

from brainslice.errors import UnreadableScanError
from brainslice.scan.dicom.file import open_dicom
from brainslice.scan.dicom.intensity import functional_group, grey_frame
from brainslice.scan.dicom.pixels import check_pixels, decode_frames, frame_count
from brainslice.scan.frames import frame_index
from brainslice.scan.types import Slice, Spacing

NOT_MAGNETIC_RESONANCE: Final = frozenset(
    {
        *("BI", "BMD", "CR", "CT", "DX", "ECG", "ES", "EPS", "GM", "IO", "IVOCT", "IVUS", "MG", "NM", "OAM", "OCT"),
        *("OP", "OPT", "OPV", "PA", "PT", "PX", "RF", "RG", "SM", "SMR", "TG", "US", "XA", "XC"),
    }
)
"""Devices whose pictures are none of magnetic resonance, by their codes in DICOM."""

NO_PICTURES: Final = frozenset(
    {
        *("ANN", "ASMT", "AU", "DOC", "FID", "HD", "KO", "M3D", "PLAN", "PR", "REG", "RTDOSE", "RTIMAGE", "RTPLAN"),
        *("RTRECORD", "RTSTRUCT", "RWV", "SEG", "SR", "STAIN", "TEXTUREMAP"),
    }
)
"""What lies beside pictures in an archive, by its codes."""


def read_dicom(data: bytes, digest: str, frame: int | None = None) -> Slice:
    """Read one picture from a DICOM file.

    Args:
        data: The file's bytes, whole.
        digest: Their sha256 in hexadecimal.
        frame: Which of several pictures, from 1; None where there must be one only.

    Returns:
        Its grey values, windowed as the file asks; in square pixels where the file tells their size.

    Raises:
        UnreadableScanError: It holds no picture of magnetic resonance, or several and none was chosen.
        Exception: Whatever pydicom raises of damaged files.
    """
    image = open_dicom(data)
    check_modality(image)
    check_pixels(image)
    index = frame_index(frame, frame_count(image))
    (stored,) = decode_frames(image, [index])
    grey, spacing = grey_frame(stored, image, index, window=True), spacing_of(image, index)
    return Slice(grey, digest) if spacing is None else Slice.of_squares(grey, digest, spacing)


def check_modality(image: Dataset) -> None:
    """Refuse what other devices made.

    Raises:
        UnreadableScanError: The file says that it is something else than magnetic resonance.
    """
    modality = _modality_of(image)
    if modality in NOT_MAGNETIC_RESONANCE:
        msg = f"must be of magnetic resonance, got {modality}; no model here knows such pictures"
        raise UnreadableScanError(msg)
    if only_accompanies(image):
        msg = f"must be a scan, got {modality}, which only accompanies one; choose the scan itself"
        raise UnreadableScanError(msg)


def only_accompanies(image: Dataset) -> bool:
    """Tell whether a file is what lies beside pictures in a study, such as an outline drawn on them."""
    return _modality_of(image) in NO_PICTURES


def spacing_of(image: Dataset, frame: int) -> Spacing | None:
    """Read the size of a picture's pixels, where the file tells it.

    Raises:
        UnreadableScanError: The size is none that a scanner writes.
    """
    told = functional_group(image, frame, "PixelMeasuresSequence").get("PixelSpacing")
    if not told or len(told) != 2:  # noqa: PLR2004 - rows, columns
        return None
    return Spacing(float(told[0]), float(told[1]))


def _modality_of(image: Dataset) -> str:
    return str(image.get("Modality") or "")
