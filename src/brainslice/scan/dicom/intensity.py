"""Stored values of a DICOM picture become grey ones: rescaled, windowed, bright on dark."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from pydicom import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi

from brainslice.arrays import Pixels
from brainslice.errors import UnreadableScanError
from brainslice.scan.dicom.file import read_decimals
from brainslice.scan.raster import invert_grey
from brainslice.scan.types import Remark, RemarkCode

_BRIGHTEST: Final = 255.0
_LEVELS: Final = 256
# Windows that leave fewer grey levels of a picture were meant for other values.
_FEWEST_LEVELS: Final = 32
_LUMINANCE: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def grey_frame(
    stored: np.ndarray, image: Dataset, frame: int, *, window: bool, remarks: list[Remark] | None = None
) -> Pixels:
    """Turn stored values into grey ones, large where the picture is bright.

    Args:
        stored: Stored values ``(h, w)``, or colours ``(h, w, 3)``.
        image: The file's elements.
        frame: The picture's number in the file, from 0.
        window: Whether to apply the window the file asks for, which gives values of 0 to 255; otherwise the
            scanner's own values are kept, as slices of one volume need, whose windows may differ, and as windows
            are ignored that leave fewer than 32 grey levels.
        remarks: Receives a remark where a window is ignored.

    Returns:
        Grey values ``(h, w)``.

    Raises:
        UnreadableScanError: The picture is none of grey values or colours.
        Exception: Whatever pydicom raises of damaged tables.
    """
    kind = str(image.get("PhotometricInterpretation", "MONOCHROME2"))
    if kind == "PALETTE COLOR":
        stored = apply_color_lut(stored, image)
    if stored.ndim == 3 and stored.shape[2] == _LUMINANCE.size:  # noqa: PLR2004 - rows, columns, colours
        return stored.astype(np.float32) @ _LUMINANCE
    if not kind.startswith("MONOCHROME") or stored.ndim != 2:  # noqa: PLR2004 - rows, columns
        msg = "the picture must be grey or of three colours, got something else; export it as PNG"
        raise UnreadableScanError(msg)
    dark_on_bright = kind == "MONOCHROME1"
    values = _rescaled(stored, image, frame)
    _fill_padding(values, stored, image, bright=dark_on_bright)
    shown = _windowed(values, image, frame) if window else values
    if window and shown is values and remarks is not None and _has_window(image, frame):
        remarks.append(
            Remark(RemarkCode.WINDOW, "the window in the file does not fit the grey values and was not used")
        )
    if dark_on_bright:
        # Slices of one volume are turned over about one value.
        shown = invert_grey(shown) if window else -shown
    return shown.astype(np.float32, copy=False)


def functional_group(image: Dataset, frame: int, name: str, keyword: str = "") -> Dataset:
    """Find what a multi-frame file says of one picture, or of all; the file itself where it says neither.

    Args:
        image: The file's elements.
        frame: The picture's number in the file, from 0.
        name: The sequence's name, such as ``PlanePositionSequence``.
        keyword: An element that the sequence must hold; any where empty.
    """
    each = image.get("PerFrameFunctionalGroupsSequence") or []
    shared = image.get("SharedFunctionalGroupsSequence") or []
    for group in (*each[frame : frame + 1], *shared[:1]):
        if group.get(name) and (not keyword or read_decimals(group[name][0], keyword)):
            found: Dataset = group[name][0]
            return found
    return image


def _fill_padding(values: Pixels, stored: np.ndarray, image: Dataset, *, bright: bool) -> None:
    """Make what the scanner never saw as dark as the darkest tissue, or as bright where bright will be dark."""
    padding = image.get("PixelPaddingValue")
    if not isinstance(padding, int):
        return
    limit = image.get("PixelPaddingRangeLimit")
    low, high = sorted((padding, limit if isinstance(limit, int) else padding))
    padded = (stored >= low) & (stored <= high)
    if padded.any() and not padded.all():
        seen = values[~padded]
        values[padded] = seen.max() if bright else seen.min()


def _rescaled(stored: np.ndarray, image: Dataset, frame: int) -> Pixels:
    source = functional_group(image, frame, "PixelValueTransformationSequence")
    if source.get("ModalityLUTSequence"):
        return apply_modality_lut(stored, source).astype(np.float32)
    slope, intercept = (_number(source, name) for name in ("RescaleSlope", "RescaleIntercept"))
    if not slope:
        return stored.astype(np.float32)
    return (stored.astype(np.float64) * slope + (intercept or 0.0)).astype(np.float32)


def _windowed(values: Pixels, image: Dataset, frame: int) -> Pixels:
    source = functional_group(image, frame, "FrameVOILUTSequence")
    # The standard knows no window without a width; some files have zeros in place of one.
    if not _has_window(image, frame):
        return _looked_up(values, source)
    shares = _window_shares(values, source)
    lowest, highest = np.percentile(values, (0.5, 99.5))
    ramp = np.linspace(lowest, highest, _LEVELS)
    levels = len(np.unique(np.rint(_window_shares(ramp, source) * _BRIGHTEST)))
    coarse = levels < _FEWEST_LEVELS < len(np.unique(values))
    return values if coarse or np.ptp(shares) == 0 else (shares * _BRIGHTEST).astype(np.float32)


def _has_window(image: Dataset, frame: int) -> bool:
    source = functional_group(image, frame, "FrameVOILUTSequence")
    return _number(source, "WindowCenter") is not None and (_number(source, "WindowWidth") or 0.0) > 0


def _window_shares(values: np.ndarray, source: Dataset) -> np.ndarray:
    centre, width = _number(source, "WindowCenter") or 0.0, _number(source, "WindowWidth") or 0.0
    function = str(source.get("VOILUTFunction") or "LINEAR")
    if function == "SIGMOID":
        # Beyond 80 a share is black or white to every digit, and single precision overflows from 88 on.
        return np.asarray(1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - centre) / max(width, 1e-6), -80.0, 80.0))))
    if function == "LINEAR_EXACT":
        return np.clip((values - centre) / max(width, 1e-6) + 0.5, 0.0, 1.0)
    return np.clip((values - (centre - 0.5)) / max(width - 1.0, 1e-6) + 0.5, 0.0, 1.0)


def _looked_up(values: Pixels, source: Dataset) -> Pixels:
    if not source.get("VOILUTSequence"):
        return values
    return apply_voi(np.rint(values).astype(np.int32), source, index=0).astype(np.float32)


def _number(source: Dataset, name: str) -> float | None:
    """Read the first of what may be several numbers, or none."""
    value = read_decimals(source, name)
    if value is None or value == "":
        return None
    first = float(value[0] if hasattr(value, "__getitem__") and not isinstance(value, str) else value)
    if not math.isfinite(first):
        msg = f"{name} must be a finite number, got another; export the file again"
        raise UnreadableScanError(msg)
    return first
