"""Random augmentation of training scans: geometry, grey values and scanner appearance.

The layers belong to the training model only, not to the exported network.
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
_BACKGROUND = 0.03
"""Grey values up to this share of 255 are background."""


@dataclass(frozen=True, slots=True)
class AugmentationConfig:
    """Ranges of random changes; zero disables a change.

    Attributes:
        flip: Whether to flip left and right.
        rotation: Maximum rotation either way, as a share of a full turn: 0.05 is 18 degrees.
        zoom: Maximum zoom in or out, as a share of the size.
        translation: Maximum shift either way, as a share of the size.
        brightness: Maximum change of the grey values, as a share of 255.
        contrast: Maximum relative change of the distance to the mean.
        gamma: Maximum absolute logarithm of the exponent of a gamma curve.
        bias_field: Standard deviation of the coefficients of a smooth field, in the logarithm of the grey value.
        noise: Maximum standard deviation of added noise, as a share of 255.
        blur: Maximum share replaced by the mean over neighbours; half as much for sharpening.
        inversion: The share of scans with grey values inverted inside the head.
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
        """Check that shares are in [0, 1)."""
        for field in fields(self):
            share = getattr(self, field.name)
            if not (math.isfinite(share) and 0 <= share < 1) and field.name != "flip":
                msg = f"augment.{field.name} must be in [0, 1), got {share}"
                raise ConfigError(msg)


def augmentation_layers(config: AugmentationConfig, seed: int) -> keras.Sequential:
    """Make the layers that augment scans ``(n, h, w, c)`` of 0 to 255 in training; in inference they are inactive.

    The first channel is the scan. Further channels, such as an outline, get the same geometric changes only.
    Uncovered pixels are black, and grey values are kept within 0 to 255.

    Returns:
        Geometric layers, then grey value layers.
    """
    flip, rotation, zoom, translation, brightness, contrast, scanner = _seeds(seed, 7)
    shift = config.translation
    geometric = {
        "flip": keras.layers.RandomFlip("horizontal", seed=flip),
        "rotation": keras.layers.RandomRotation(config.rotation, seed=rotation, **_BLACK),
        "zoom": keras.layers.RandomZoom(config.zoom, seed=zoom, **_BLACK),
        "translation": keras.layers.RandomTranslation(shift, shift, seed=translation, **_BLACK),
    }
    greys = {
        "brightness": keras.layers.RandomBrightness(config.brightness, value_range=_GREYS, seed=brightness),
        "contrast": keras.layers.RandomContrast(config.contrast, value_range=_GREYS, seed=contrast),
        "varies_scanner": ScannerVariation.of(config, scanner),
    }
    active = [layer for name, layer in geometric.items() if getattr(config, name)]
    active += [FirstChannel(layer) for name, layer in greys.items() if getattr(config, name)]
    return keras.Sequential(active or [keras.layers.Identity()], name="augmentation")


class FirstChannel(keras.layers.Wrapper):
    """Apply a layer to the first channel only."""

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:  # noqa: FBT001 - Keras' own signature
        """Apply the layer to channel 0 of ``(n, h, w, c)``."""
        changed = self.layer(inputs[..., :1], training=training)
        return keras.ops.concatenate([changed, inputs[..., 1:]], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape."""
        return input_shape


class ScannerVariation(keras.layers.Layer):
    """Imitate another scanner or sequence: random gamma, inversion, bias field, blur or sharpening, and noise."""

    # No constructor: Keras inspects it, and the shape checks wrap it under test.
    config: AugmentationConfig
    generator: keras.random.SeedGenerator

    @classmethod
    def of(cls, config: AugmentationConfig, seed: int) -> ScannerVariation:
        """Make the layer from ranges and seed."""
        layer = cls(name="scanner_variation")
        layer.config, layer.generator = config, keras.random.SeedGenerator(seed)
        return layer

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:  # noqa: FBT001 - Keras' own signature
        """Change scans ``(n, h, w, 1)`` of 0 to 255 in training; return them unchanged in inference."""
        if not training:
            return inputs
        config, count = self.config, keras.ops.shape(inputs)[0]
        grey = inputs / 255
        head = keras.ops.cast(grey > _BACKGROUND, grey.dtype)
        grey = grey ** keras.ops.exp(self._uniform(count, -config.gamma, config.gamma))
        inverted = keras.ops.cast(self._uniform(count, 0.0, 1.0) < config.inversion, grey.dtype) * head
        grey = grey + inverted * (1 - 2 * grey)
        grey = grey * keras.ops.exp(self._bias_field(count, *inputs.shape[1:3]))
        share = self._uniform(count, -config.blur / 2, config.blur)
        smooth = keras.ops.average_pool(grey, 3, 1, padding="same")
        grey = grey + share * (smooth - grey)
        noise = keras.random.normal(keras.ops.shape(grey), seed=self.generator)
        grey = grey + self._uniform(count, 0.0, config.noise) * noise
        return keras.ops.clip(grey, 0, 1) * 255

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input shape."""
        return input_shape

    def _uniform(self, count: Tensor, low: float, high: float) -> Tensor:
        return keras.random.uniform((count, 1, 1, 1), low, high, seed=self.generator)

    def _bias_field(self, count: Tensor, rows: int, columns: int) -> Tensor:
        down, across = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
        terms = np.stack([across, down, across * down, across**2 - 1 / 3, down**2 - 1 / 3], axis=-1)
        coefficients = keras.random.normal(
            (count, 1, 1, terms.shape[-1]), stddev=self.config.bias_field, seed=self.generator
        )
        return keras.ops.sum(coefficients * terms[np.newaxis].astype(np.float32), axis=-1, keepdims=True)


def reseed(layers: keras.Sequential, numbers: tuple[int, ...]) -> None:
    """Set the random states of layers made by ``augmentation_layers`` from numbers of at least 0."""
    states = np.random.SeedSequence(numbers).generate_state(2 * len(layers.variables)) >> 1
    for variable, state in zip(layers.variables, states.reshape(-1, 2), strict=True):
        variable.assign(state)


def train_ready(network: Network, augmentation: keras.Layer, *, outlines: bool = False) -> keras.Model:
    """Build the training model: augmentation followed by the network, which shares its layers.

    Args:
        network: The network to train.
        augmentation: Layers on scans ``(n, h, w, c)``.
        outlines: Whether a second channel holds the lesions' outlines, 0 or 255.

    Returns:
        A model from scans ``(n, size, size, 1)``, 0 to 255, to logits ``(n, k)``; with outlines, from two channels to
        the two outputs of ``with_positions``. It has the network's precision, from which ``compile`` derives loss
        scaling.
    """
    size = network.config.size
    with precision(network.config.precision):
        scan = keras.Input((size, size, 2 if outlines else 1), name="scan")
        changed = augmentation(scan)
        predicted = network.model(changed[..., :1])
        outputs = with_positions(predicted, changed[..., 1:] / 255) if outlines else predicted["logits"]
        return keras.Model(scan, outputs, name="training")


def with_positions(outputs: dict[str, Tensor], coverage: Tensor) -> dict[str, Tensor]:
    """Join class maps and lesion coverage, for ``PositionLoss``.

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
    """Return independent seeds; Keras stores a seed as a signed 32-bit number."""
    return [int(state >> 1) for state in np.random.SeedSequence(seed).generate_state(count)]
