"""A DICOM file becomes a slice."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pydicom import Dataset

from brainslice.errors import UnreadableScanError
from brainslice.scan.dicom.file import open_dicom, read_decimals
from brainslice.scan.dicom.intensity import functional_group, grey_frame
from brainslice.scan.dicom.pixels import check_pixels, decode_frames, frame_count
from brainslice.scan.frames import frame_index
from brainslice.scan.types import Remark, Slice, Spacing

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


COMPLEX_PARTS: Final = ("phase", "real part", "imaginary part")
"""Kinds of pictures that are never predicted."""

_KINDS: Final = {
    "phase": {"P", "PHASE", "PHASE MAP", "PHASE_MAP"},
    "real part": {"R", "REAL"},
    "imaginary part": {"I", "IMAGINARY"},
    "localizer": {"LOCALIZER", "SCOUT", "SURVEY"},
    "parameter map": {"ADC", "FA", "CBF", "CBV", "MTT", "TTP", "T1 MAP", "T2 MAP", "B0 MAP", "B1 MAP", "FIELD MAP"},
    "projection": {"MIP", "MAX_IP", "MIN_IP", "PROJECTION IMAGE"},
}


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
    _refuse_phase(image, index)
    remarks: list[Remark] = []
    grey = grey_frame(stored, image, index, window=True, remarks=remarks)
    spacing, ratio = spacing_of(image, index), image.get("PixelAspectRatio")
    found = Slice(grey, digest)
    if spacing is not None:
        found = Slice.of_squares(grey, digest, spacing)
    elif ratio and len(ratio) == 2:  # noqa: PLR2004 - height, width
        found = replace(Slice.of_squares(grey, digest, Spacing(float(ratio[0]), float(ratio[1]))), spacing=None)
    return replace(found, remarks=tuple(remarks))


def picture_kind(image: Dataset, frame: int) -> str:
    """Name the kind of a picture that does not show anatomy alone, by ImageType and the frame type; else empty."""
    source = functional_group(image, frame, "MRImageFrameTypeSequence")
    types = [str(word).upper() for word in (source.get("FrameType") or image.get("ImageType") or ())]
    words = {*types, str(source.get("ComplexImageComponent") or "").upper()}
    return next((kind for kind, known in _KINDS.items() if words & known), "")


def _refuse_phase(image: Dataset, frame: int) -> None:
    kind = picture_kind(image, frame)
    if kind in COMPLEX_PARTS:
        msg = f"must be a magnitude picture, got a {kind} picture; choose the magnitude of the same series"
        raise UnreadableScanError(msg)


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
    told = read_decimals(functional_group(image, frame, "PixelMeasuresSequence", "PixelSpacing"), "PixelSpacing")
    if not told or len(told) != 2:  # noqa: PLR2004 - rows, columns
        return None
    return Spacing(float(told[0]), float(told[1]))


def _modality_of(image: Dataset) -> str:
    return str(image.get("Modality") or "")
