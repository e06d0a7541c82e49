"""Random augmentation of scans in training: position, grey values and the look of a scanner.

The layers belong to the training model only; the network itself and its export never hold them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import keras
import numpy as np

from brainslice.errors import ConfigError
from brainslice.models.build import Network, precision
from brainslice.models.losses import Tensor

_BLACK = {"fill_mode": "constant", "fill_value": 0.0}
_GREYS = (0, 255)
_AIR = 0.03
"""Grey values up to this share of 255 are air around the head."""


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
        gamma: The largest logarithm of the exponent of the grey curve, either way.
        bias_field: Standard deviation of the coefficients of a smooth field, in the logarithm of the grey value.
        noise: The largest standard deviation of added noise, as a share of 255.
        blur: The largest share that is replaced by the mean over neighbours; half as much is sharpened.
        inversion: The share of scans whose grey values are inverted inside the head.
    """

    flip: bool = True
    rotation: float = 0.05
    zoom: float = 0.1
    translation: float = 0.05
    brightness: float = 0.1
    contrast: float = 0.1
    gamma: float = 0.0
    bias_field: float = 0.0
    noise: float = 0.0
    blur: float = 0.0
    inversion: float = 0.0

    @property
    def varies_scanner(self) -> bool:
        """Whether any change imitates another scanner or sequence."""
        return any((self.gamma, self.bias_field, self.noise, self.blur, self.inversion))

    def __post_init__(self) -> None:
        """Refuse shares that are none."""
        for field in fields(self):
            share = getattr(self, field.name)
            if not (math.isfinite(share) and 0 <= share < 1) and field.name != "flip":
                msg = f"augment.{field.name} must be in [0, 1), got {share}"
                raise ConfigError(msg)


def augmentation(plan: AugmentationConfig, seed: int) -> keras.Sequential:
    """Make the layers that change scans ``(n, h, w, c)`` of 0 to 255; in inference they change nothing.

    The first channel is the scan. Further channels, such as an outline, are moved with it and keep their values.
    Whatever moves out of the scan leaves black behind, and no grey value leaves 0 to 255. Every layer has its own
    seed, so that the same seed gives the same changes, call after call.

    Args:
        plan: How far scans may be changed.
        seed: Where all random draws start.

    Returns:
        The layers in order: those that move the picture, then those that change its grey values.
    """
    flip, rotation, zoom, translation, brightness, contrast, scanner = _seeds(seed, 7)
    both = plan.translation
    moves = {
        "flip": keras.layers.RandomFlip("horizontal", seed=flip),
        "rotation": keras.layers.RandomRotation(plan.rotation, seed=rotation, **_BLACK),
        "zoom": keras.layers.RandomZoom(plan.zoom, seed=zoom, **_BLACK),
        "translation": keras.layers.RandomTranslation(both, both, seed=translation, **_BLACK),
    }
    greys = {
        "brightness": keras.layers.RandomBrightness(plan.brightness, value_range=_GREYS, seed=brightness),
        "contrast": keras.layers.RandomContrast(plan.contrast, value_range=_GREYS, seed=contrast),
        "varies_scanner": ScannerVariation.of(plan, scanner),
    }
    wanted = [layer for name, layer in moves.items() if getattr(plan, name)]
    wanted += [FirstChannel(layer) for name, layer in greys.items() if getattr(plan, name)]
    return keras.Sequential(wanted or [keras.layers.Identity()], name="augmentation")


class FirstChannel(keras.layers.Wrapper):
    """Apply a layer to the first channel and leave the others as they are."""

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:  # noqa: FBT001 - Keras' own signature
        """Change the scan ``(n, h, w, c)``, and nothing beside it."""
        changed = self.layer(inputs[..., :1], training=training)
        return keras.ops.concatenate([changed, inputs[..., 1:]], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Give the shape of the input."""
        return input_shape


class ScannerVariation(keras.layers.Layer):
    """Change how a scan looks the way another scanner or sequence would, without moving anything.

    Grey curve, contrast inversion inside the head, smooth bias field, blur or sharpening, noise: drawn for each scan.
    """

    # Keras inspects a layer's constructor, which the shape checks wrap under test: so there is none.
    plan: AugmentationConfig
    generator: keras.random.SeedGenerator

    @classmethod
    def of(cls, plan: AugmentationConfig, seed: int) -> ScannerVariation:
        """Make the layer from the extent of each change and the seed of all draws."""
        layer = cls(name="scanner_variation")
        layer.plan, layer.generator = plan, keras.random.SeedGenerator(seed)
        return layer

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:  # noqa: FBT001 - Keras' own signature
        """Change scans ``(n, h, w, 1)`` of 0 to 255 in training; give them as they are in inference."""
        if not training:
            return inputs
        plan, count = self.plan, keras.ops.shape(inputs)[0]
        grey = inputs / 255
        head = keras.ops.cast(grey > _AIR, grey.dtype)
        grey = grey ** keras.ops.exp(self._uniform(count, -plan.gamma, plan.gamma))
        inverted = keras.ops.cast(self._uniform(count, 0.0, 1.0) < plan.inversion, grey.dtype) * head
        grey = grey + inverted * (1 - 2 * grey)
        grey = grey * keras.ops.exp(self._bias_field(count, *inputs.shape[1:3]))
        share = self._uniform(count, -plan.blur / 2, plan.blur)
        smooth = keras.ops.average_pool(grey, 3, 1, padding="same")
        grey = grey + share * (smooth - grey)
        noise = keras.random.normal(keras.ops.shape(grey), seed=self.generator)
        grey = grey + self._uniform(count, 0.0, plan.noise) * noise
        return keras.ops.clip(grey, 0, 1) * 255

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Give the shape of the input."""
        return input_shape

    def _uniform(self, count: Tensor, low: float, high: float) -> Tensor:
        return keras.random.uniform((count, 1, 1, 1), low, high, seed=self.generator)

    def _bias_field(self, count: Tensor, rows: int, columns: int) -> Tensor:
        down, across = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
        terms = np.stack([across, down, across * down, across**2 - 1 / 3, down**2 - 1 / 3], axis=-1)
        amounts = keras.random.normal((count, 1, 1, terms.shape[-1]), stddev=self.plan.bias_field, seed=self.generator)
        return keras.ops.sum(amounts * terms[np.newaxis].astype(np.float32), axis=-1, keepdims=True)


def reseed(layers: keras.Sequential, numbers: tuple[int, ...]) -> None:
    """Put every random draw of the layers where these numbers say, whatever was drawn before.

    Args:
        layers: What ``augmentation`` made.
        numbers: Any non-negative numbers, such as a seed, a view and a block.
    """
    states = np.random.SeedSequence(numbers).generate_state(2 * len(layers.variables)) >> 1
    for variable, state in zip(layers.variables, states.reshape(-1, 2), strict=True):
        variable.assign(state)


def train_ready(network: Network, augmentation: keras.Layer, *, outlines: bool = False) -> keras.Model:
    """Put the augmentation in front of a network, for training.

    Args:
        network: The network; its layers are shared, so training the result trains it.
        augmentation: Layers on scans ``(n, h, w, c)``, active in training only.
        outlines: Whether a second channel holds the lesions' outlines, 0 or 255.

    Returns:
        A model from scans ``(n, size, size, 1)``, 0 to 255, to logits ``(n, k)`` alone; with outlines, from two
        channels to the two outputs of ``with_positions``. It has the network's precision, by which ``compile`` knows
        whether the loss must be scaled.
    """
    size = network.config.size
    with precision(network.config.precision):
        scan = keras.Input((size, size, 2 if outlines else 1), name="scan")
        changed = augmentation(scan)
        found = network.model(changed[..., :1])
        outputs = with_positions(found, changed[..., 1:] / 255) if outlines else found["logits"]
        return keras.Model(scan, outputs, name="training")


def with_positions(outputs: dict[str, Tensor], coverage: Tensor) -> dict[str, Tensor]:
    """Join class maps and what they should show, for ``PositionLoss``.

    Args:
        outputs: The network's ``logits`` ``(n, k)`` and ``class_maps`` ``(n, mh, mw, k)``.
        coverage: The share of each cell that the lesion covers ``(n, ch, cw, 1)``, at the maps' resolution or a
            multiple of it.

    Returns:
        ``logits``, and ``positions`` ``(n, mh, mw, k + 1)``: the class maps, then the coverage.
    """
    maps = outputs["class_maps"]
    step = coverage.shape[1] // maps.shape[1]
    if step > 1:
        coverage = keras.layers.AveragePooling2D(step, dtype="float32")(coverage)
    return {"logits": outputs["logits"], "positions": keras.layers.Concatenate(dtype="float32")([maps, coverage])}


def _seeds(seed: int, count: int) -> list[int]:
    """Give independent streams; Keras keeps a seed in a signed number of 32 bits."""
    return [int(state >> 1) for state in np.random.SeedSequence(seed).generate_state(count)]
