"""A prediction with the pictures and class maps that a viewer shows."""

from __future__ import annotations

import base64
import io
from typing import Any, Final

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from brainslice.arrays import Pixels
from brainslice.inference.overlay import draw_page
from brainslice.inference.prediction import Prediction
from brainslice.preprocessing.intensity import stretch
from brainslice.scan.types import Slice

MAP_NOTE: Final = (
    "What each position adds to the class's logit, at least 0; it shows where the network found evidence, "
    "not where a tumour ends. Research use only."
)

LONGEST_SIDE: Final = 1024
"""Larger slices are shown smaller."""

_LOW, _HIGH = 0.5, 99.5
_DIGITS: Final = 6


def explanation(prediction: Prediction, scan: Slice) -> dict[str, Any]:
    """Return a prediction with its pictures and class maps, in plain types.

    Args:
        prediction: The answer.
        scan: The slice it is about, as it was decoded.
    """
    names = prediction.labels.names
    maps = {name: prediction.class_maps[..., place].round(_DIGITS).tolist() for place, name in enumerate(names)}
    return {
        "prediction": prediction.to_json(),
        "network_input": data_address(Image.fromarray(prediction.network_input)),
        "original": data_address(original_picture(scan.pixels)),
        "maps": maps,
        "map_note": MAP_NOTE,
        "model": prediction.bundle,
    }


def overlay(prediction: Prediction, name: str | None, opacity: float) -> bytes:
    """Draw the scan beside its overlay as PNG.

    Args:
        prediction: The answer.
        name: The class whose evidence is shown; the predicted one where None.
        opacity: How much of the scan the strongest heat hides, 0 to 1.

    Raises:
        DatasetError: There is no such class.
    """
    return png(draw_page(prediction, name, opacity))


def png(picture: Image.Image) -> bytes:
    """Write a picture as PNG."""
    stream = io.BytesIO()
    picture.save(stream, format="PNG")
    return stream.getvalue()


def data_address(picture: Image.Image) -> str:
    """Write a picture as a PNG data address."""
    return f"data:image/png;base64,{base64.b64encode(png(picture)).decode('ascii')}"


def original_picture(pixels: Pixels) -> Image.Image:
    """Draw a slice as it was decoded: uncropped, its grey values stretched from black to white.

    Args:
        pixels: Grey values ``(h, w)``, any range; the window that the file names is applied already.

    Returns:
        A grey picture of at most ``LONGEST_SIDE`` pixels a side.
    """
    # Subsampled first where it is huge, so that stretching needs no memory beyond what is shown.
    step = max(1, max(pixels.shape) // (2 * LONGEST_SIDE))
    pixels = pixels[::step, ::step]
    grey: UInt8[np.ndarray, "h w"] = np.rint(stretch(pixels, _LOW, _HIGH) * np.float32(255)).astype(np.uint8)
    picture = Image.fromarray(grey)
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return picture
