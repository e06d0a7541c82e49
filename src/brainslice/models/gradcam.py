"""Grad-CAM from gradients, for any layer.

At the head's features it equals the class maps of ``inference.heat_map``, which bundles use; gradients serve as
reference in tests, and for earlier layers.
"""

from __future__ import annotations

import difflib
import importlib
from typing import Any

import keras
import numpy as np

from brainslice.array_types import Float32
from brainslice.arrays import InputBatch, Labels
from brainslice.errors import ConfigError
from brainslice.models.build import Network
from brainslice.models.head import FEATURES
from brainslice.models.losses import Tensor


def compute_gradcam(
    network: Network, inputs: InputBatch, classes: Labels, layer: str = FEATURES
) -> Float32[np.ndarray, "n mh mw"]:
    """Compute Grad-CAM at a layer: ``ReLU(Σ_c w_c·A^c)`` with ``w_c`` the mean over positions of ``∂y/∂A^c``.

    Args:
        network: The network.
        inputs: Scans, uint8 ``(n, size, size)``.
        classes: The class of each map ``(n,)``.
        layer: The name of a layer of ``network.model`` with activations ``(n, mh, mw, c)``.

    Returns:
        The maps at the layer's resolution ``(n, mh, mw)``.

    Raises:
        ConfigError: There is no such layer, or its activations are not spatial.

    Reference:
        Selvaraju et al., Grad-CAM, ICCV 2017, equations 1 and 2.
    """
    _check_layer(network, layer)
    scans = keras.ops.convert_to_tensor(inputs[..., np.newaxis].astype(np.float32))
    chosen = keras.ops.one_hot(keras.ops.convert_to_tensor(classes.astype(np.int32)), network.config.classes)
    tensors = _activations_and_gradients(network.model, layer, scans, chosen)
    activations, gradients = (keras.ops.convert_to_numpy(tensor).astype(np.float32) for tensor in tensors)
    weights = gradients.mean(axis=(1, 2), keepdims=True)
    heat: Float32[np.ndarray, "n mh mw"] = np.maximum((weights * activations).sum(axis=-1), 0.0)
    return heat


def _check_layer(network: Network, layer: str) -> None:
    names = [each.name for each in network.model.layers]
    if layer not in names:
        nearest = difflib.get_close_matches(layer, names, n=1, cutoff=0.0)[0]
        msg = f"layer must be one of the network's, as {FEATURES!r}, got {layer!r}; did you mean {nearest!r}?"
        raise ConfigError(msg)
    shape = network.model.get_layer(layer).output.shape
    if len(shape) != 4:  # noqa: PLR2004 - scans, rows, columns, channels
        msg = f"layer {layer!r} must give rows, columns and channels, got activations of shape {shape[1:]}"
        raise ConfigError(msg)


def _activations_and_gradients(whole: keras.Model, layer: str, scans: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Differentiate the chosen logits by a layer's activations, for each backend."""
    name = keras.backend.backend()
    backend: Any = importlib.import_module(name)
    logits, activations = whole.output["logits"], whole.get_layer(layer).output
    if name == "jax":
        # JAX differentiates by arguments only, so no connection may bypass the layer.
        outputs = keras.Model(whole.input, activations)(scans, training=False)
        above = _above(activations, logits)
        return outputs, backend.grad(lambda values: (above(values, training=False) * chosen).sum())(outputs)
    probe = keras.Model(whole.input, [activations, logits])
    if name == "torch":
        outputs, scores = probe(scans.requires_grad_(), training=False)
        return outputs, backend.autograd.grad((scores * chosen).sum(), outputs)[0]
    with backend.GradientTape() as tape:
        tape.watch(scans)
        outputs, scores = probe(scans, training=False)
        score = keras.ops.sum(scores * chosen)
    return outputs, tape.gradient(score, outputs)


def _above(activations: keras.KerasTensor, logits: keras.KerasTensor) -> keras.Model:
    try:
        return keras.Model(activations, logits)
    except ValueError as error:
        msg = "no connection may bypass the layer; choose the end of a block, or set KERAS_BACKEND=tensorflow"
        raise ConfigError(msg) from error
