"""Where a network looks: Grad-CAM from gradients, for any layer, and from class maps, for the last one.

Both are equal at the features the head sees, because there the gradient of a logit is the head's own kernel.
Class maps cost nothing and need no gradients, so they are what ships; gradients are the oracle, and the way to
earlier layers.
"""

from __future__ import annotations

import difflib
import importlib
from typing import Any, TypeAlias

import keras
import numpy as np
from jaxtyping import Float, Float32

from brainslice.arrays import ClassMaps, InputBatch, Labels
from brainslice.errors import ConfigError
from brainslice.models.build import Network
from brainslice.models.head import FEATURES

Tensor: TypeAlias = Any
"""What the backend computes with."""

HeatBatch: TypeAlias = Float[np.ndarray, "n mh mw"]
"""How much each position of a layer speaks for a class, one map a scan; nothing is below zero."""


def gradcam(
    network: Network, inputs: InputBatch, classes: Labels, layer: str = FEATURES
) -> Float32[np.ndarray, "n mh mw"]:
    """Ask the gradients which positions of a layer speak for a class.

    The weight of channel c is the mean over positions of ``∂y/∂A^c``, and the map is ``ReLU(Σ_c weight_c·A^c)``.

    Args:
        network: The network.
        inputs: Scans, uint8 ``(n, size, size)``.
        classes: The class asked about, one a scan ``(n,)``.
        layer: The name of a layer of ``network.whole`` whose activations are ``(n, mh, mw, c)``.

    Returns:
        The maps at the layer's resolution ``(n, mh, mw)``.

    Raises:
        ConfigError: There is no such layer, or its activations are no picture.

    Reference:
        Selvaraju et al., Grad-CAM, ICCV 2017, equations 1 and 2.
    """
    _check_layer(network, layer)
    scans = keras.ops.convert_to_tensor(inputs[..., np.newaxis].astype(np.float32))
    chosen = keras.ops.one_hot(keras.ops.convert_to_tensor(classes.astype(np.int32)), network.config.classes)
    tensors = _activations_and_slopes(network.model, layer, scans, chosen)
    activations, slopes = (keras.ops.convert_to_numpy(tensor).astype(np.float32) for tensor in tensors)
    weights = slopes.mean(axis=(1, 2), keepdims=True)
    heat: Float32[np.ndarray, "n mh mw"] = np.maximum((weights * activations).sum(axis=-1), 0.0)
    return heat


def gradcam_from_class_maps(class_maps: ClassMaps, bias: Float[np.ndarray, " k"], classes: Labels) -> HeatBatch:
    """Read the same maps off the class maps: ``ReLU(map_k - bias_k) / (mh·mw)``.

    Args:
        class_maps: The network's second output ``(n, mh, mw, k)``.
        bias: What the head adds everywhere ``(k,)``.
        classes: The class asked about, one a scan ``(n,)``.

    Returns:
        What ``gradcam`` gives at the features ``(n, mh, mw)``.
    """
    _, rows, columns, _ = class_maps.shape
    chosen = class_maps[np.arange(len(classes)), :, :, classes] - bias[classes][:, np.newaxis, np.newaxis]
    heat: HeatBatch = np.maximum(chosen, 0.0) / (rows * columns)
    return heat


def _check_layer(network: Network, layer: str) -> None:
    names = [found.name for found in network.model.layers]
    if layer not in names:
        nearest = difflib.get_close_matches(layer, names, n=1, cutoff=0.0)[0]
        msg = f"layer must be one of the network's, as {FEATURES!r}, got {layer!r}; did you mean {nearest!r}?"
        raise ConfigError(msg)
    shape = network.model.get_layer(layer).output.shape
    if len(shape) != 4:  # noqa: PLR2004 - scans, rows, columns, channels
        msg = f"layer {layer!r} must give rows, columns and channels, got activations of shape {shape[1:]}"
        raise ConfigError(msg)


def _activations_and_slopes(whole: keras.Model, layer: str, scans: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Differentiate the chosen logits by a layer's activations: the one place that knows the backends."""
    name = keras.backend.backend()
    backend: Any = importlib.import_module(name)
    logits, activations = whole.output["logits"], whole.get_layer(layer).output
    if name == "jax":
        # JAX differentiates by arguments only, so the layer must be one that everything passes through.
        seen = keras.Model(whole.input, activations)(scans, training=False)
        above = _above(activations, logits)
        return seen, backend.grad(lambda values: (above(values, training=False) * chosen).sum())(seen)
    probe = keras.Model(whole.input, [activations, logits])
    if name == "torch":
        seen, scores = probe(scans.requires_grad_(), training=False)
        return seen, backend.autograd.grad((scores * chosen).sum(), seen)[0]
    with backend.GradientTape() as tape:
        tape.watch(scans)
        seen, scores = probe(scans, training=False)
        score = keras.ops.sum(scores * chosen)
    return seen, tape.gradient(score, seen)


def _above(activations: keras.KerasTensor, logits: keras.KerasTensor) -> keras.Model:
    try:
        return keras.Model(activations, logits)
    except ValueError as error:
        msg = "the layer must be one that no other bypasses; ask for a block's end, or set KERAS_BACKEND=tensorflow"
        raise ConfigError(msg) from error
