"""Symmetric drawn heads at a known tilt, with a lesion in one half."""

from __future__ import annotations

import numpy as np
from PIL import Image

from brainslice.arrays import Mask, NetworkInput
from brainslice.phantom import draw_phantom

SIZE = 224


def symmetric_head(patient: int, tilt: float = 0.0, shift: int = 0) -> NetworkInput:
    """Mirror one half of a drawn healthy head, tilt it counter-clockwise and shift it to the right."""
    drawn = Image.fromarray(draw_phantom("no_tumor", patient, 0, 7).pixels).resize((SIZE - 32, SIZE - 32))
    picture = np.pad(np.asarray(drawn), 16)
    picture[:, SIZE // 2 :] = picture[:, SIZE // 2 - 1 :: -1]
    turned = np.asarray(Image.fromarray(picture).rotate(tilt, Image.Resampling.BILINEAR))
    return np.roll(turned, shift, axis=1)


def with_lesion(picture: NetworkInput, row: int = 100, column: int = 80, radius: int = 14) -> tuple[NetworkInput, Mask]:
    """Draw a bright disc; return the image and its mask."""
    rows, columns = np.ogrid[: picture.shape[0], : picture.shape[1]]
    lesion = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    return np.where(lesion, np.uint8(250), picture), lesion
