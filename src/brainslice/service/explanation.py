"""Predictions with images and class maps, for viewers."""

from __future__ import annotations

import base64
from typing import Any, Final

import numpy as np
from PIL import Image

from brainslice.array_types import UInt8
from brainslice.arrays import Pixels
from brainslice.inference import Prediction, draw_page, encode_png
from brainslice.preprocessing import stretch
from brainslice.scan import Slice

MAP_NOTE: Final = (
    "What each position adds to the class's logit, at least 0; it shows where the network found evidence, "
    "not where a tumour ends. Research use only."
)

MAX_SIDE: Final = 1024
"""The maximum side of an image of the original slice."""

_LOW, _HIGH = 0.5, 99.5
_DIGITS: Final = 6


def explanation(prediction: Prediction, scan: Slice) -> dict[str, Any]:
    """Return the prediction of a decoded slice with images and class maps, as plain types."""
    names = prediction.labels.names
    maps = {name: prediction.class_maps[..., index].round(_DIGITS).tolist() for index, name in enumerate(names)}
    return {
        "prediction": prediction.to_json(),
        "network_input": data_address(Image.fromarray(prediction.network_input)),
        "original": data_address(original_picture(scan.pixels)),
        "maps": maps,
        "map_note": MAP_NOTE,
        "model": prediction.bundle,
    }


def overlay(prediction: Prediction, name: str | None, opacity: float) -> bytes:
    """Draw the page of ``draw_page`` as PNG."""
    return encode_png(draw_page(prediction, name, opacity))


def data_address(picture: Image.Image) -> str:
    """Encode an image as a PNG data URL."""
    return f"data:image/png;base64,{base64.b64encode(encode_png(picture)).decode('ascii')}"


def original_picture(pixels: Pixels) -> Image.Image:
    """Draw a decoded slice ``(h, w)``: uncropped, stretched to 0 to 255, at most ``MAX_SIDE`` pixels a side."""
    # Large slices are subsampled first to save memory.
    step = max(1, max(pixels.shape) // (2 * MAX_SIDE))
    pixels = pixels[::step, ::step]
    grey: UInt8[np.ndarray, "h w"] = np.rint(stretch(pixels, _LOW, _HIGH) * np.float32(255)).astype(np.uint8)
    picture = Image.fromarray(grey)
    picture.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    return picture
