"""Grey values from the stored values of a DICOM image: palette, rescaling, window, inversion."""

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
# Windows that leave fewer grey levels do not fit the values and are ignored.
_MIN_LEVELS: Final = 32
_LUMINANCE: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def grey_frame(
    stored: np.ndarray, image: Dataset, frame: int, *, window: bool, remarks: list[Remark] | None = None
) -> Pixels:
    """Convert stored values to grey values; larger is brighter.

    Args:
        stored: Stored values ``(h, w)``, or colours ``(h, w, 3)``.
        image: The file's elements.
        frame: The frame index.
        window: Whether to apply the window in the file, which gives values of 0 to 255. Windows that leave fewer
            than 32 grey levels are ignored. Volumes need values without windows, since those of slices may differ.
        remarks: Receives a remark where a window is ignored.

    Returns:
        Grey values ``(h, w)``.

    Raises:
        UnreadableScanError: The image is neither grey nor of three colours.
        Exception: pydicom cannot apply a damaged table.
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
    values = _rescale(stored, image, frame)
    _fill_padding(values, stored, image, bright=dark_on_bright)
    shown = _apply_window(values, image, frame) if window else values
    if window and shown is values and remarks is not None and _has_window(image, frame):
        remarks.append(
            Remark(RemarkCode.WINDOW, "the window in the file does not fit the grey values and was not used")
        )
    if dark_on_bright:
        # All slices of a volume are inverted about the same value.
        shown = invert_grey(shown) if window else -shown
    return shown.astype(np.float32, copy=False)


def functional_group(image: Dataset, frame: int, name: str, keyword: str = "") -> Dataset:
    """Return the functional group of a frame, or the shared one; the data set itself where there is none.

    Args:
        image: The file's elements.
        frame: The frame index.
        name: The keyword of the sequence, such as ``PlanePositionSequence``.
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
    """Set padding to the lowest value of the image; to the highest where the image will be inverted."""
    padding = image.get("PixelPaddingValue")
    if not isinstance(padding, int):
        return
    limit = image.get("PixelPaddingRangeLimit")
    low, high = sorted((padding, limit if isinstance(limit, int) else padding))
    padded = (stored >= low) & (stored <= high)
    if padded.any() and not padded.all():
        unpadded = values[~padded]
        values[padded] = unpadded.max() if bright else unpadded.min()


def _rescale(stored: np.ndarray, image: Dataset, frame: int) -> Pixels:
    source = functional_group(image, frame, "PixelValueTransformationSequence")
    if source.get("ModalityLUTSequence"):
        return apply_modality_lut(stored, source).astype(np.float32)
    slope, intercept = (_number(source, name) for name in ("RescaleSlope", "RescaleIntercept"))
    if not slope:
        return stored.astype(np.float32)
    return (stored.astype(np.float64) * slope + (intercept or 0.0)).astype(np.float32)


def _apply_window(values: Pixels, image: Dataset, frame: int) -> Pixels:
    source = functional_group(image, frame, "FrameVOILUTSequence")
    # Some files have a width of 0 in place of no window.
    if not _has_window(image, frame):
        return _apply_voi_table(values, source)
    fractions = _window_fractions(values, source)
    lowest, highest = np.percentile(values, (0.5, 99.5))
    ramp = np.linspace(lowest, highest, _LEVELS)
    levels = len(np.unique(np.rint(_window_fractions(ramp, source) * _BRIGHTEST)))
    coarse = levels < _MIN_LEVELS < len(np.unique(values))
    return values if coarse or np.ptp(fractions) == 0 else (fractions * _BRIGHTEST).astype(np.float32)


def _has_window(image: Dataset, frame: int) -> bool:
    source = functional_group(image, frame, "FrameVOILUTSequence")
    return _number(source, "WindowCenter") is not None and (_number(source, "WindowWidth") or 0.0) > 0


def _window_fractions(values: np.ndarray, source: Dataset) -> np.ndarray:
    centre, width = _number(source, "WindowCenter") or 0.0, _number(source, "WindowWidth") or 0.0
    function = str(source.get("VOILUTFunction") or "LINEAR")
    if function == "SIGMOID":
        # Single precision overflows from 88 on; beyond 80 the result is 0 or 1 in all digits.
        return np.asarray(1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - centre) / max(width, 1e-6), -80.0, 80.0))))
    if function == "LINEAR_EXACT":
        return np.clip((values - centre) / max(width, 1e-6) + 0.5, 0.0, 1.0)
    return np.clip((values - (centre - 0.5)) / max(width - 1.0, 1e-6) + 0.5, 0.0, 1.0)


def _apply_voi_table(values: Pixels, source: Dataset) -> Pixels:
    if not source.get("VOILUTSequence"):
        return values
    return apply_voi(np.rint(values).astype(np.int32), source, index=0).astype(np.float32)


def _number(source: Dataset, name: str) -> float | None:
    """Read a number, the first where there are several; None where there is none."""
    value = read_decimals(source, name)
    if value is None or value == "":
        return None
    first = float(value[0] if hasattr(value, "__getitem__") and not isinstance(value, str) else value)
    if not math.isfinite(first):
        msg = f"{name} must be a finite number, got another; export the file again"
        raise UnreadableScanError(msg)
    return first
