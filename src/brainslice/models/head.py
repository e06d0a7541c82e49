"""The head of a network: from the backbone's features to class maps and logits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import keras
import numpy as np

from brainslice.array_types import Float32
from brainslice.errors import ConfigError
from brainslice.models.losses import Tensor

if TYPE_CHECKING:
    from brainslice.models.build import NetworkConfig

FEATURES: Final = "features"
"""The layer in front of the dense layer: the default layer of gradient Grad-CAM."""

HEAD: Final = "class_maps"
"""The dense layer from features to class maps."""

TOP: Final = "top_activation"
"""The last layer of every backbone."""

_PYRAMID: Final = "pyramid"
"""Prefix of the layers between backbone and dense layer in the pyramid head."""

_CHANNELS: Final = 128


def attach_head(config: NetworkConfig, cut: keras.KerasTensor, backbone: keras.Model) -> dict[str, keras.KerasTensor]:
    """Build the outputs ``logits`` ``(n, k)`` and ``class_maps`` ``(n, mh, mw, k)`` of a network.

    Raises:
        ConfigError: ``image_size`` is no multiple of 32 for a head that joins two resolutions.
    """
    if config.head == "pyramid":
        features = _join_pyramid(config, cut, backbone.output)
    elif config.multi_level:
        features = _concatenate_levels(config, cut, backbone.get_layer("top_conv").input, backbone.output)
    else:
        features = backbone.output
    dropped = keras.layers.SpatialDropout2D(config.dropout, seed=config.seed, name=FEATURES, dtype="float32")(features)
    biased = config.reference_class is None
    maps = keras.layers.Dense(config.classes, use_bias=biased, name=HEAD, dtype="float32")(dropped)
    return pool_maps(config, maps)


def pool_maps(config: NetworkConfig, maps: keras.KerasTensor) -> dict[str, keras.KerasTensor]:
    """Build the outputs of a network from those of the dense layer."""
    healthy = config.reference_class
    if healthy is None:
        logits = keras.layers.GlobalAveragePooling2D(name="logits", dtype="float32")(maps)
        return {"logits": logits, "class_maps": maps}
    differences = maps - maps[..., healthy : healthy + 1]
    if config.contralateral:
        differences = _less_contralateral(differences, healthy, config.contralateral)
    return {"logits": log_mean_exp(differences), "class_maps": differences}


def _less_contralateral(maps: keras.KerasTensor, healthy: int, share: float) -> keras.KerasTensor:
    """Subtract a share of the evidence for any tumour at the mirrored position; the healthy class stays 0.

    What both halves of a head show alike is seldom a tumour.
    """
    tumours = np.arange(maps.shape[-1]) != healthy
    of_tumours = keras.ops.take(maps, np.flatnonzero(tumours), axis=-1)
    evidence = keras.ops.logsumexp(of_tumours, axis=-1, keepdims=True)
    return maps - evidence[:, :, ::-1] * (share * tumours).astype(np.float32)


def log_mean_exp(maps: Tensor) -> Tensor:
    """Pool maps ``(n, mh, mw, k)`` to ``log(mean(exp(map)))`` ``(n, k)``, near the maximum of a map with a peak.

    Reference:
        Pinheiro and Collobert, From Image-level to Pixel-level Labeling with Convolutional Networks, CVPR 2015,
        equation 5, with ``r = 1``.
    """
    return keras.ops.logsumexp(maps, axis=(1, 2)) - math.log(maps.shape[1] * maps.shape[2])


def pooled_layer(head: str) -> str:
    """Return the layer whose spatial means are a scan's features: the head's input, or the backbone's last layer."""
    return TOP if head == "pyramid" else FEATURES


def is_head_layer(name: str) -> bool:
    """Return whether a layer of this name belongs to the head."""
    return name == HEAD or name.startswith(_PYRAMID)


def head_bias(model: keras.Model) -> Float32[np.ndarray, " k"]:
    """Return the bias of the class maps."""
    head = model.get_layer(HEAD)
    if not head.use_bias:
        return np.zeros(head.units, np.float32)
    values: Float32[np.ndarray, " k"] = keras.ops.convert_to_numpy(head.bias)
    return values


def _join_pyramid(config: NetworkConfig, cut: keras.KerasTensor, top: keras.KerasTensor) -> keras.KerasTensor:
    """Add the upsampled last activations to those at the cut, which have twice their resolution.

    Reference:
        Lin et al., Feature Pyramid Networks for Object Detection, CVPR 2017.
    """
    layers, step = keras.layers, _resolution_step(config, cut, top)
    dropped = layers.SpatialDropout2D(config.dropout, seed=config.seed + 1, name=f"{_PYRAMID}_dropout")(top)
    above = layers.Conv2D(_CHANNELS, 1, name=f"{_PYRAMID}_top")(dropped)
    above = layers.UpSampling2D(step, interpolation="bilinear", name=f"{_PYRAMID}_up")(above)
    beside = layers.Conv2D(_CHANNELS, 1, name=f"{_PYRAMID}_cut")(cut)
    joined = layers.Activation("silu", name=f"{_PYRAMID}_join")(above + beside)
    return layers.Conv2D(_CHANNELS, 3, padding="same", activation="silu", name=f"{_PYRAMID}_mix")(joined)


def _concatenate_levels(
    config: NetworkConfig, cut: keras.KerasTensor, last: keras.KerasTensor, top: keras.KerasTensor
) -> keras.KerasTensor:
    """Concatenate three depths at the resolution of the last; average pooling preserves their global means."""
    step = _resolution_step(config, cut, top)
    pooled = keras.layers.AveragePooling2D(step, name="pooled_cut", dtype="float32")(cut)
    return keras.layers.Concatenate(name="levels", dtype="float32")([pooled, last, top])


def _resolution_step(config: NetworkConfig, cut: keras.KerasTensor, top: keras.KerasTensor) -> int:
    step, rest = divmod(cut.shape[1], top.shape[1])
    if rest:
        name = "the pyramid head" if config.head == "pyramid" else "multi-level features"
        msg = f"image_size must be a multiple of 32 for {name}, got {config.size}"
        raise ConfigError(msg)
    return int(step)
