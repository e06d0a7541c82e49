"""Pictures of a scan for whoever looks at it: PNG, in memory."""

from __future__ import annotations

import base64
import io
from typing import Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from brainslice.arrays import Pixels
from brainslice.preprocessing.intensity import stretch

LONGEST_SIDE: Final = 1024
"""Larger slices are shown smaller."""

_LOW, _HIGH = 0.5, 99.5


def png(picture: Image.Image) -> bytes:
    """Write a picture as PNG."""
    stream = io.BytesIO()
    picture.save(stream, format="PNG")
    return stream.getvalue()


def data_address(picture: Image.Image) -> str:
    """Write a picture as an address that holds it whole."""
    return f"data:image/png;base64,{base64.b64encode(png(picture)).decode('ascii')}"


def original_picture(pixels: Pixels) -> Image.Image:
    """Draw a slice as it was decoded: uncropped, its greys spread from black to white.

    Args:
        pixels: Grey values ``(h, w)``, any range; a window that the file tells is applied to them already.

    Returns:
        A grey picture of at most ``LONGEST_SIDE`` pixels a side.
    """
    # Thinned first where it is huge, so that stretching needs no memory beyond what is shown.
    step = max(1, max(pixels.shape) // (2 * LONGEST_SIDE))
    pixels = pixels[::step, ::step]
    grey: UInt8[np.ndarray, "h w"] = np.rint(stretch(pixels, _LOW, _HIGH) * np.float32(255)).astype(np.uint8)
    picture = Image.fromarray(grey)
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return picture
