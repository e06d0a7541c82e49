"""A prediction with all that a viewer shows of it."""

from __future__ import annotations

from typing import Any, Final

from PIL import Image

from brainslice.inference.overlay import draw_page
from brainslice.inference.prediction import Prediction
from brainslice.scan.types import Slice
from brainslice.service.images import data_address, original_picture, png

MAP_NOTE: Final = (
    "What each position adds to the class's logit, at least 0; it shows where the network found evidence, "
    "not where a tumour ends. Research use only."
)

_DIGITS: Final = 6


def explanation(prediction: Prediction, scan: Slice) -> dict[str, Any]:
    """Tell an answer with its pictures and maps in plain types.

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
