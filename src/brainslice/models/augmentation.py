"""Random changes a scan may undergo in training, so that a network does not learn where the head lies.

They are layers of the training model only; the network itself, and what is exported from it, never holds
them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import keras
import numpy as np

from brainslice.errors import ConfigError
from brainslice.models.build import Network, precision

_BLACK = {"fill_mode": "constant", "fill_value": 0.0}
_GREYS = (0, 255)


@dataclass(frozen=True, slots=True)
class AugmentationConfig:
    """How far a scan may be changed; zero switches a change off.

    Attributes:
        flip: Whether left and right may be exchanged.
        rotation: The largest turn either way, as a share of a full one: 0.05 is 18 degrees.
        zoom: The largest growth or shrinking, as a share of the scan.
        translation: The largest shift in either direction, as a share of the scan.
        brightness: The most that may be added or taken, as a share of 255.
        contrast: The largest change of the distance to the mean, as a share of it.
    """

    flip: bool = True
    rotation: float = 0.05
    zoom: float = 0.1
    translation: float = 0.05
    brightness: float = 0.1
    contrast: float = 0.1

    def __post_init__(self) -> None:
        """Refuse shares that are none."""
        for field in fields(self):
            share = getattr(self, field.name)
            if not (math.isfinite(share) and 0 <= share < 1) and field.name != "flip":
                msg = f"augment.{field.name} must be in [0, 1), got {share}"
                raise ConfigError(msg)


def augmentation(plan: AugmentationConfig, seed: int) -> keras.Sequential:
    """Make the layers that change scans ``(n, h, w, 1)`` of 0 to 255; in inference they change nothing.

    Whatever moves out of the scan leaves black behind, and no grey value leaves 0 to 255. Every layer has a
    seed of its own, so that the same seed gives the same changes, call after call.

    Args:
        plan: How far scans may be changed.
        seed: Where all random draws start.

    Returns:
        The layers in order: those that move the picture, then those that change its grey values.
    """
    flip, rotation, zoom, translation, brightness, contrast = _seeds(seed, 6)
    both = plan.translation
    layers = {
        "flip": keras.layers.RandomFlip("horizontal", seed=flip),
        "rotation": keras.layers.RandomRotation(plan.rotation, seed=rotation, **_BLACK),
        "zoom": keras.layers.RandomZoom(plan.zoom, seed=zoom, **_BLACK),
        "translation": keras.layers.RandomTranslation(both, both, seed=translation, **_BLACK),
        "brightness": keras.layers.RandomBrightness(plan.brightness, value_range=_GREYS, seed=brightness),
        "contrast": keras.layers.RandomContrast(plan.contrast, value_range=_GREYS, seed=contrast),
    }
    wanted = [layer for name, layer in layers.items() if getattr(plan, name)]
    return keras.Sequential(wanted or [keras.layers.Identity()], name="augmentation")


def reseed(layers: keras.Sequential, numbers: tuple[int, ...]) -> None:
    """Put every random draw of the layers where these numbers say, whatever was drawn before.

    Args:
        layers: What ``augmentation`` made.
        numbers: Any non-negative numbers, such as a seed, a view and a block.
    """
    states = np.random.SeedSequence(numbers).generate_state(2 * len(layers.variables)) >> 1
    for variable, state in zip(layers.variables, states.reshape(-1, 2), strict=True):
        variable.assign(state)


def train_ready(network: Network, augmentation: keras.Layer) -> keras.Model:
    """Put the augmentation in front of a network, for ``fit``.

    Args:
        network: The network; its layers are shared, so training the result trains it.
        augmentation: Layers on scans ``(n, h, w, 1)``, active in training only.

    Returns:
        A model from scans ``(n, size, size, 1)``, 0 to 255, to logits ``(n, k)`` alone. It bears the network's
        precision, by which ``compile`` knows whether the loss must be scaled.
    """
    size = network.config.size
    with precision(network.config.precision):
        scan = keras.Input((size, size, 1), name="scan")
        return keras.Model(scan, network.model(augmentation(scan))["logits"], name="training")


def _seeds(seed: int, count: int) -> list[int]:
    """Give independent streams; Keras keeps a seed in a signed number of 32 bits."""
    return [int(state >> 1) for state in np.random.SeedSequence(seed).generate_state(count)]
