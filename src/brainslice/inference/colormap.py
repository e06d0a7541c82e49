"""The colours of a heat map: dark violet for little, through red, to pale yellow for much."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float, UInt8

# Seventeen stops along a path that gets lighter at an even pace while its hue turns from violet over red to
# yellow; the steps between them are equal in Oklab, where equal distances look equally large. As lightness
# alone tells the order, the table reads the same to eyes without red or green cones, and in grey print.
_STOPS: Final = (
    (20, 14, 54),
    (38, 13, 80),
    (61, 8, 102),
    (87, 3, 116),
    (115, 1, 121),
    (142, 1, 118),
    (169, 1, 111),
    (195, 11, 101),
    (218, 34, 89),
    (237, 63, 78),
    (251, 92, 70),
    (255, 123, 76),
    (255, 150, 92),
    (255, 175, 108),
    (255, 199, 127),
    (255, 224, 149),
    (254, 248, 168),
)


def apply_colormap(levels: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Colour a map of levels.

    Args:
        levels: Values ``(h, w)`` from 0, dark, to 1, light; beyond that they are cut off.

    Returns:
        Red, green and blue ``(h, w, 3)`` as screens show them (sRGB).

    Reference:
        Kovesi, Good Colour Maps: How to Design Them, arXiv:1509.03700; the distances are those of
        Ottosson, A perceptual color space for image processing, 2020.
    """
    stops = np.asarray(_STOPS, dtype=np.float64)
    place = np.clip(levels, 0.0, 1.0) * (len(stops) - 1)
    grid = np.arange(len(stops))
    channels = [np.interp(place, grid, stops[:, channel]) for channel in range(3)]
    return np.asarray(np.rint(np.stack(channels, axis=-1)), dtype=np.uint8)
