"""From class maps to a picture of where the evidence lies.

A network whose class maps average to its logits explains itself: what a position holds above the class's
bias is what that position's features add to the logit. It equals Grad-CAM at the last convolutional features,
and needs no gradient.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image

from brainslice.arrays import Heat, Mask


def positive_class_maps(
    class_maps: Float[np.ndarray, "mh mw k"], bias: Sequence[float]
) -> Float[np.ndarray, "mh mw k"]:
    """Keep of each class map what speaks for the class, in units of its logit.

    Args:
        class_maps: What each position adds to each logit ``(mh, mw, k)``, before averaging, bias included.
        bias: What each class map holds where the features say nothing; ``k`` numbers.

    Returns:
        ``relu(class_maps - bias) / (mh * mw)``, at least 0 everywhere.

    Reference:
        Selvaraju et al., Grad-CAM, ICCV 2017, equations 1 and 2; with average pooling and a dense
        layer the weights are those of the dense layer over ``mh * mw``.
    """
    rows, columns, _ = class_maps.shape
    above = class_maps.astype(np.float32) - np.asarray(bias, dtype=np.float32)
    return np.asarray(np.maximum(above, 0.0) / (rows * columns))


def upsample(evidence: Float[np.ndarray, "mh mw"], height: int, width: int) -> Heat:
    """Spread a coarse map over a picture, bilinearly; each value stands at the centre of its cell.

    Args:
        evidence: The coarse map ``(mh, mw)``.
        height: Rows of the picture.
        width: Columns of the picture.

    Returns:
        The map ``(height, width)``; its values stay within those of ``evidence``.
    """
    coarse = Image.fromarray(np.ascontiguousarray(evidence, dtype=np.float32))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BILINEAR), dtype=np.float32)


def share_on_mask(heat: Heat, mask: Mask) -> float:
    """Measure how much of a heat map falls on something, such as a tumour's outline.

    Args:
        heat: The map ``(h, w)``, at least 0 everywhere.
        mask: Where the thing is, of the map's shape ``(h, w)``.

    Returns:
        The mask's share of all heat, 0 to 1; 0 where there is no heat at all.
    """
    whole = float(heat.sum(dtype=np.float64))
    on_mask = float(heat[mask].sum(dtype=np.float64))
    return min(on_mask / whole, 1.0) if whole > 0 else 0.0
