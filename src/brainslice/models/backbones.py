"""The available backbones."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Literal

from brainslice.errors import ConfigError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Backbone:
    """An architecture of ``keras.applications``.

    Attributes:
        name: Its name in the configuration, as ``efficientnetv2-b0``.
        builder: The name of its function in ``keras.applications``.
        family: ``v1`` includes a normalisation, ``v2`` can be built without.
        cut: The layer at the border of frozen and trainable part: the end of the fifth stage.
        centred: Whether it was trained on values of -1 to 1 instead of ImageNet's standard scores.
    """

    name: str
    builder: str
    family: Literal["v1", "v2"]
    cut: str
    centred: bool = False

    @property
    def scale(self) -> tuple[float, float, float]:
        """The factor on 0 to 255 of each channel."""
        if self.centred:
            return (1 / 128, 1 / 128, 1 / 128)
        red, green, blue = (1 / (255 * deviation) for deviation in IMAGENET_DEVIATION)
        return (red, green, blue)

    @property
    def offset(self) -> tuple[float, float, float]:
        """The offset of each channel, added after scaling."""
        if self.centred:
            return (-1.0, -1.0, -1.0)
        pairs = zip(IMAGENET_MEAN, IMAGENET_DEVIATION, strict=True)
        red, green, blue = (-mean / deviation for mean, deviation in pairs)
        return (red, green, blue)


_ROWS = (
    Backbone("efficientnet-b0", "EfficientNetB0", "v1", "block5c_add"),
    Backbone("efficientnet-b1", "EfficientNetB1", "v1", "block5d_add"),
    Backbone("efficientnet-b2", "EfficientNetB2", "v1", "block5d_add"),
    Backbone("efficientnet-b3", "EfficientNetB3", "v1", "block5e_add"),
    Backbone("efficientnet-b4", "EfficientNetB4", "v1", "block5f_add"),
    Backbone("efficientnet-b5", "EfficientNetB5", "v1", "block5g_add"),
    Backbone("efficientnet-b6", "EfficientNetB6", "v1", "block5h_add"),
    Backbone("efficientnet-b7", "EfficientNetB7", "v1", "block5j_add"),
    Backbone("efficientnetv2-b0", "EfficientNetV2B0", "v2", "block5e_add"),
    Backbone("efficientnetv2-b1", "EfficientNetV2B1", "v2", "block5f_add"),
    Backbone("efficientnetv2-b2", "EfficientNetV2B2", "v2", "block5f_add"),
    Backbone("efficientnetv2-b3", "EfficientNetV2B3", "v2", "block5g_add"),
    Backbone("efficientnetv2-s", "EfficientNetV2S", "v2", "block5i_add", centred=True),
    Backbone("efficientnetv2-m", "EfficientNetV2M", "v2", "block5n_add", centred=True),
    Backbone("efficientnetv2-l", "EfficientNetV2L", "v2", "block5s_add", centred=True),
)

BACKBONES: dict[str, Backbone] = {row.name: row for row in _ROWS}
"""The backbones by name."""


def get_backbone(name: str) -> Backbone:
    """Find a backbone by its name, ignoring case, dashes and underscores.

    Raises:
        ConfigError: There is none of that name.
    """
    keys = {_key(row.name): row for row in _ROWS}
    key = _key(name)
    if key in keys:
        return keys[key]
    nearest = difflib.get_close_matches(key, keys, n=1, cutoff=0.0)
    known = ", ".join(BACKBONES)
    msg = f"backbone must be one of {known}, got {name!r}; did you mean {keys[nearest[0]].name!r}?"
    raise ConfigError(msg)


def _key(name: str) -> str:
    return re.sub(r"[\s._-]+", "", name).casefold()
