"""Heat maps from class maps.

The class map minus the bias is each position's contribution to the logit. Its positive part equals Grad-CAM at the last
convolutional features, without gradients.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from brainslice.array_types import Float
from brainslice.arrays import Heat, Mask


def positive_class_maps(
    class_maps: Float[np.ndarray, "mh mw k"], bias: Sequence[float]
) -> Float[np.ndarray, "mh mw k"]:
    """Compute ``relu(class_maps - bias) / (mh * mw)``, in units of the logit; 0 for maps of one position.

    Reference:
        Selvaraju et al., Grad-CAM, ICCV 2017, equations 1 and 2; with average pooling and a dense
        layer the weights are those of the dense layer over ``mh * mw``.
    """
    rows, columns, _ = class_maps.shape
    if rows * columns == 1:
        return np.zeros(class_maps.shape, np.float32)
    above = class_maps.astype(np.float32) - np.asarray(bias, dtype=np.float32)
    return np.asarray(np.maximum(above, 0.0) / (rows * columns))


def upsample(class_map: Float[np.ndarray, "mh mw"], height: int, width: int) -> Heat:
    """Upsample a map ``(mh, mw)`` bilinearly to ``(height, width)``."""
    coarse = Image.fromarray(np.ascontiguousarray(class_map, dtype=np.float32))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BILINEAR), dtype=np.float32)


def share_on_mask(heat: Heat, mask: Mask) -> float:
    """Return the share of a heat map ``(h, w)`` within a mask ``(h, w)``, 0 to 1; 0 for a map of zeros."""
    total = float(heat.sum(dtype=np.float64))
    return min(float(heat[mask].sum(dtype=np.float64)) / total, 1.0) if total > 0 else 0.0
