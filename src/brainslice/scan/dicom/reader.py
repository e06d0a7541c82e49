"""Reading of a slice from a DICOM file."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pydicom import Dataset

from brainslice.errors import UnreadableScanError
from brainslice.scan.dicom.file import open_dicom, read_decimals
from brainslice.scan.dicom.intensity import functional_group, grey_frame
from brainslice.scan.dicom.pixels import check_pixels, decode_frames, frame_count
from brainslice.scan.input_problem import frame_index
from brainslice.scan.types import Remark, Slice, Spacing

NON_MR_MODALITIES: Final = frozenset(
    {
        *("BI", "BMD", "CR", "CT", "DX", "ECG", "ES", "EPS", "GM", "IO", "IVOCT", "IVUS", "MG", "NM", "OAM", "OCT"),
        *("OP", "OPT", "OPV", "PA", "PT", "PX", "RF", "RG", "SM", "SMR", "TG", "US", "XA", "XC"),
    }
)
"""DICOM modalities of images other than magnetic resonance."""

NON_IMAGE_MODALITIES: Final = frozenset(
    {
        *("ANN", "ASMT", "AU", "DOC", "FID", "HD", "KO", "M3D", "PLAN", "PR", "REG", "RTDOSE", "RTIMAGE", "RTPLAN"),
        *("RTRECORD", "RTSTRUCT", "RWV", "SEG", "SR", "STAIN", "TEXTUREMAP"),
    }
)
"""DICOM modalities of objects that are not images."""

COMPLEX_PARTS: Final = ("phase", "real part", "imaginary part")
"""Kinds of images that are never predicted."""

_KINDS: Final = {
    "phase": {"P", "PHASE", "PHASE MAP", "PHASE_MAP"},
    "real part": {"R", "REAL"},
    "imaginary part": {"I", "IMAGINARY"},
    "localizer": {"LOCALIZER", "SCOUT", "SURVEY"},
    "parameter map": {"ADC", "FA", "CBF", "CBV", "MTT", "TTP", "T1 MAP", "T2 MAP", "B0 MAP", "B1 MAP", "FIELD MAP"},
    "projection": {"MIP", "MAX_IP", "MIN_IP", "PROJECTION IMAGE"},
}


def read_dicom(data: bytes, digest: str, frame: int | None = None) -> Slice:
    """Read one slice from a DICOM file.

    Args:
        data: All bytes of the file.
        digest: The sha256 of the bytes, in hexadecimal.
        frame: The frame, from 1; None where the file must have one only.

    Returns:
        The slice, with the window of the file applied, in square pixels where their size is known.

    Raises:
        UnreadableScanError: It is no image of magnetic resonance, or has several frames and none was chosen.
        Exception: pydicom cannot parse the file.
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
        found = Slice.with_square_pixels(grey, digest, spacing)
    elif ratio and len(ratio) == 2:  # noqa: PLR2004 - height, width
        found = replace(Slice.with_square_pixels(grey, digest, Spacing(float(ratio[0]), float(ratio[1]))), spacing=None)
    return replace(found, remarks=tuple(remarks))


def image_kind(image: Dataset, frame: int) -> str:
    """Return the kind of an image by ImageType and FrameType; empty for anatomical images."""
    source = functional_group(image, frame, "MRImageFrameTypeSequence")
    types = [str(word).upper() for word in (source.get("FrameType") or image.get("ImageType") or ())]
    words = {*types, str(source.get("ComplexImageComponent") or "").upper()}
    return next((kind for kind, known in _KINDS.items() if words & known), "")


def _refuse_phase(image: Dataset, frame: int) -> None:
    kind = image_kind(image, frame)
    if kind in COMPLEX_PARTS:
        msg = f"must be a magnitude picture, got a {kind} picture; choose the magnitude of the same series"
        raise UnreadableScanError(msg)


def check_modality(image: Dataset) -> None:
    """Refuse modalities other than magnetic resonance.

    Raises:
        UnreadableScanError: The file names another modality.
    """
    modality = _modality_of(image)
    if modality in NON_MR_MODALITIES:
        msg = f"must be of magnetic resonance, got {modality}; the models are trained on MR only"
        raise UnreadableScanError(msg)
    if is_non_image(image):
        msg = f"must be a scan, got {modality}, which only accompanies one; choose the scan itself"
        raise UnreadableScanError(msg)


def is_non_image(image: Dataset) -> bool:
    """Check for an object that is not an image, such as a segmentation or a report."""
    return _modality_of(image) in NON_IMAGE_MODALITIES


def spacing_of(image: Dataset, frame: int) -> Spacing | None:
    """Read the pixel spacing of a frame; None where the file has none.

    Raises:
        UnreadableScanError: The spacing is not finite and positive.
    """
    spacing = read_decimals(functional_group(image, frame, "PixelMeasuresSequence", "PixelSpacing"), "PixelSpacing")
    if not spacing or len(spacing) != 2:  # noqa: PLR2004 - rows, columns
        return None
    return Spacing(float(spacing[0]), float(spacing[1]))


def _modality_of(image: Dataset) -> str:
    return str(image.get("Modality") or "")
