"""What can be wrong with a picture that needs no network to see: no contrast, no background, no head."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from jaxtyping import Float

from brainslice.arrays import Mask, NetworkInput
from brainslice.decision.verdict import Reason

# As shares of the brightest grey. Of 5,619 training and validation scans the least contrast was 0.21, the brightest
# corners 0.28, and the smallest step from corners to middle 0.07: each limit lies beyond what any of them shows.
_LEAST_CONTRAST: Final = 0.15
_BRIGHTEST_CORNERS: Final = 0.35
_LEAST_STEP: Final = 0.03

_MIDDLE: Final = 0.6
_CORNERS: Final = 1.05


def image_faults(seen: NetworkInput) -> tuple[Reason, ...]:
    """Look for what no slice of a head shows once it has been cropped and stretched.

    Args:
        seen: The picture as the network sees it ``(h, w)``, the head as large as the frame.

    Returns:
        Everything found: too little contrast, corners too bright to be background, a middle no brighter than
        the corners; nothing for a picture that may be a scan.
    """
    grey = seen.astype(np.float64) / 255
    middle, corners = _parts(*seen.shape)
    found = []
    if grey.std() < _LEAST_CONTRAST:
        found.append(Reason.FLAT)
    if np.median(grey[corners]) > _BRIGHTEST_CORNERS:
        found.append(Reason.NO_BACKGROUND)
    if grey[middle].mean() - grey[corners].mean() < _LEAST_STEP:
        found.append(Reason.NO_HEAD)
    return tuple(found)


@cache
def _parts(rows: int, columns: int) -> tuple[Mask, Mask]:
    """Mark the middle of a frame, and what lies outside of the circle that touches its sides."""
    away = np.hypot(*np.meshgrid(_from_centre(rows), _from_centre(columns), indexing="ij"))
    return away < _MIDDLE, away > _CORNERS


def _from_centre(count: int) -> Float[np.ndarray, " count"]:
    return np.asarray(np.abs(2 * np.arange(count) + 1 - count) / count)
