"""Bias-field correction (N4); the only module that imports SimpleITK."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import SimpleITK as sitk  # noqa: N813 - its usual name

from brainslice.arrays import Pixels
from brainslice.preprocessing.geometry import foreground

# The longer side of the reduced image that the field is fitted to, in pixels; the field itself is smooth.
_FITTED_SIDE: Final = 64
# The shorter side of that image, and its foreground, below which there is no field to fit.
_MIN_SIDE: Final = 8
_MIN_PIXELS: Final = 64
_ITERATIONS: Final = (50, 50, 50, 50)


def correct_bias_field(pixels: Pixels) -> Pixels:
    """Divide grey values ``(h, w)`` of any range by the smooth intensity non-uniformity that N4 finds in the tissue.

    The field is fitted to the image reduced to at most 64 pixels a side, as is usual, and divided out at full
    resolution. No random numbers, and one thread, which is set for all of SimpleITK: equal images give equal results.

    Returns:
        Corrected values, the smallest 0; the image itself if it is too small or too uniform to fit a field.

    Reference:
        Tustison et al., N4ITK: improved N3 bias correction, IEEE Trans. Med. Imaging 29 (2010).
    """
    lowest, highest = float(pixels.min()), float(pixels.max())
    step = max(1, math.ceil(max(pixels.shape) / _FITTED_SIDE))
    if min(pixels.shape) // step < _MIN_SIDE or highest <= lowest:
        return pixels
    # In double precision: differences of single-precision values may overflow.
    scaled = ((pixels.astype(np.float64) - lowest) / (highest - lowest)).astype(np.float32)
    image = sitk.GetImageFromArray(scaled)
    reduced = sitk.BinShrink(image, [step, step])
    values: Pixels = sitk.GetArrayFromImage(reduced)
    tissue = foreground(values)
    if np.count_nonzero(tissue) < _MIN_PIXELS or np.ptp(values[tissue]) == 0:
        return pixels
    # Sums of several threads depend on their number, which must not change the input of a network. The filter's own
    # number does not reach the filters within it; slices are corrected side by side instead.
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    mask = sitk.GetImageFromArray(tissue.astype(np.uint8))
    mask.CopyInformation(reduced)
    correction = sitk.N4BiasFieldCorrectionImageFilter()
    correction.SetMaximumNumberOfIterations(_ITERATIONS)
    correction.Execute(reduced, mask)
    field = sitk.GetArrayFromImage(correction.GetLogBiasFieldAsImage(image))
    corrected: Pixels = scaled * np.exp(-field, dtype=np.float32)
    return corrected if np.isfinite(corrected).all() else pixels
