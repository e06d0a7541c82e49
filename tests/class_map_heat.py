"""Heat maps of a batch, from class maps, as predictions have them."""

from __future__ import annotations

import numpy as np

from brainslice.inference.heat_map import positive_class_maps


def heat_from_class_maps(class_maps: np.ndarray, bias: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the heat map ``(mh, mw)`` of one class for each scan."""
    offsets = bias.tolist()
    return np.stack([positive_class_maps(maps, offsets)[..., k] for maps, k in zip(class_maps, classes, strict=True)])
