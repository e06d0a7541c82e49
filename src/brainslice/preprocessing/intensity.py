"""Grey values: stretched to a common range, and summed up in a few numbers."""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np
from jaxtyping import Float32

from brainslice.arrays import Pixels

GreyStatistics: TypeAlias = Float32[np.ndarray, " 36"]
"""Mean and spread of the border and of the whole picture, then the shares of 32 grey levels."""

_LEVELS: Final = 32
_EIGHT_BIT: Final = 255.0
# Percentiles of this many evenly spread pixels differ from those of all by less than noise does.
_ENOUGH: Final = 1 << 15


def stretch(pixels: Pixels, low: float, high: float) -> Pixels:
    """Map the grey values between two percentiles onto 0 to 1, and cut off what lies outside.

    Scanners have no common unit of brightness, and one bright vessel or letter must not darken all the rest.
    In large pictures the percentiles are those of an even grid of pixels.

    Args:
        pixels: Grey values ``(h, w)``, any range.
        low: The percentile, 0 to 100, that becomes 0.
        high: The percentile, 0 to 100, that becomes 1.

    Returns:
        Values of 0 to 1 ``(h, w)``; all 0 where the percentiles coincide.
    """
    stride = math.ceil(math.sqrt(pixels.size / _ENOUGH))
    # In double precision: a file may hold values whose difference no single can.
    floor, ceiling = np.percentile(pixels[::stride, ::stride].astype(np.float64), [low, high])
    if ceiling <= floor:
        return np.zeros(pixels.shape, dtype=np.float32)
    within = np.clip(pixels, floor, ceiling, dtype=np.float64)
    stretched: Pixels = ((within - floor) / (ceiling - floor)).astype(np.float32)
    return stretched


def grey_statistics(pixels: Pixels) -> GreyStatistics:
    """Sum up how bright a picture is, with no word about where.

    These are the features of the shortcut floor: what can be said of a scan's class from its export alone.
    They are taken from the picture as it is, before any crop. Values of 0 to 255 are divided by 255; pictures
    of any other range are mapped onto 0 to 1 from their lowest to their highest value.

    Args:
        pixels: Grey values ``(h, w)`` as stored.

    Returns:
        Mean and standard deviation of the outermost pixels, the same of all pixels, and the shares of 32
        equal grey levels.
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
