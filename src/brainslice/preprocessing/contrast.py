"""Contrast-limited adaptive histogram equalisation (CLAHE); the only module that imports OpenCV."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from brainslice.arrays import Pixels

_TILES: Final = 8
_CLIP_LIMIT: Final = 2.0
_WHITE: Final = 255.0


def equalise(stretched: Pixels) -> Pixels:
    """Equalise the histograms of 8 x 8 tiles, with a clip limit of 2.

    Args:
        stretched: Grey values of 0 to 1 ``(h, w)``, of which 256 levels are told apart.

    Returns:
        Values of 0 to 1 ``(h, w)``; the image itself if a tile would have no pixel.

    Reference:
        Zuiderveld, Contrast limited adaptive histogram equalization, Graphics Gems IV (1994).
    """
    if min(stretched.shape) < _TILES:
        return stretched
    levels = np.rint(stretched * np.float32(_WHITE)).astype(np.uint8)
    equalised = cv2.createCLAHE(_CLIP_LIMIT, (_TILES, _TILES)).apply(levels)
    return np.asarray(equalised, dtype=np.float32) / np.float32(_WHITE)
