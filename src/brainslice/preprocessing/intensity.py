"""Intensity normalisation and grey-level statistics."""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np

from brainslice.array_types import Float32
from brainslice.arrays import Pixels

GreyStatistics: TypeAlias = Float32[np.ndarray, " 36"]
"""Mean and standard deviation of border and image, and a histogram of 32 grey levels."""

_LEVELS: Final = 32
_EIGHT_BIT: Final = 255.0
# The number of pixels on a regular grid from which percentiles are estimated.
_SAMPLE: Final = 1 << 15


def percentiles(values: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Return two percentiles, 0 to 100, of finite values, equal to those of ``numpy.percentile``.

    ``numpy.percentile`` imports ``numpy.ma``, which takes longer than the prediction of a scan.
    """
    # Sorting takes less time than partitioning at four places.
    ordered = np.sort(values, axis=None)
    places = (ordered.size - 1) * (np.array([low, high]) / 100)
    below = np.floor(places).astype(int)
    above = np.minimum(below + 1, ordered.size - 1)
    around = ordered[np.stack([below, above])].astype(np.float64)
    first, last = _between(around[0], around[1], places - below)
    return float(first), float(last)


def _between(low: np.ndarray, high: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Interpolate linearly from the nearer end, as numpy does."""
    step = high - low
    return np.asarray(np.where(share < 0.5, low + step * share, high - step * (1 - share)))  # noqa: PLR2004 - half


def stretch(pixels: Pixels, low: float, high: float) -> Pixels:
    """Rescale grey values between two percentiles to 0 to 1, and clip the others.

    MRI intensities have no common unit. In large images the percentiles are those of a regular grid of pixels.

    Args:
        pixels: Grey values ``(h, w)``, any range.
        low: The percentile, 0 to 100, that becomes 0.
        high: The percentile, 0 to 100, that becomes 1.

    Returns:
        Values of 0 to 1 ``(h, w)``; all 0 if the percentiles are equal.
    """
    stride = math.ceil(math.sqrt(pixels.size / _SAMPLE))
    # In double precision: differences of single-precision values may overflow.
    floor, ceiling = percentiles(pixels[::stride, ::stride], low, high)
    if ceiling <= floor:
        return np.zeros(pixels.shape, dtype=np.float32)
    within = np.clip(pixels, floor, ceiling, dtype=np.float64)
    stretched: Pixels = ((within - floor) / (ceiling - floor)).astype(np.float32)
    return stretched


def grey_statistics(pixels: Pixels) -> GreyStatistics:
    """Compute global grey-level statistics of an image ``(h, w)``, before any crop: the features of the baseline.

    Values of 0 to 255 are divided by 255; other ranges are rescaled to 0 to 1.

    Returns:
        Mean and standard deviation of the outermost pixels and of all pixels, and a histogram of 32 grey levels.
    """
    scaled = _unit_range(pixels)
    outermost = np.ones(scaled.shape, dtype=bool)
    outermost[1:-1, 1:-1] = False
    border = scaled[outermost]
    counts, _ = np.histogram(scaled, bins=_LEVELS, range=(0.0, 1.0))
    moments = [border.mean(), border.std(), scaled.mean(), scaled.std()]
    return np.concatenate([moments, counts / scaled.size]).astype(np.float32)


def _unit_range(pixels: Pixels) -> Float32[np.ndarray, "h w"]:
    lowest, highest = float(pixels.min()), float(pixels.max())
    if lowest >= 0.0 and highest <= _EIGHT_BIT:
        return pixels / np.float32(_EIGHT_BIT)
    span = max(highest - lowest, float(np.finfo(np.float32).tiny))
    shares: Pixels = ((pixels.astype(np.float64) - lowest) / span).astype(np.float32)
    return shares
