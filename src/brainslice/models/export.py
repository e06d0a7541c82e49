"""What leaves the training side: an ONNX graph, proven equal, and the network's own file."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import onnx

from brainslice.arrays import ClassMaps, InputBatch, Logits
from brainslice.decision.mc_dropout import LinearHead
from brainslice.errors import ConfigError, ParityError
from brainslice.files import atomic_file
from brainslice.models.build import Network, in_float32
from brainslice.models.head import FEATURES, HEAD, pooled_layer

_OUTPUTS = ("logits", "class_maps")
_EXPORTED = (*_OUTPUTS, "features")
_OPTIONAL = "feature_maps"
"""What the pyramid head's dense layer sees at every position, for Monte Carlo dropout."""

_BATCH = 32


@dataclass(frozen=True, slots=True)
class ParityReport:
    """How far an exported graph is from its network, as the largest absolute differences.

    Attributes:
        logits: Over all logits; NaN where either side held one.
        class_maps: Over all positions of all class maps.
        scans: How many scans were compared.
    """

    logits: float
    class_maps: float
    scans: int

    def require(self, logits: float = 1e-4, class_maps: float = 1e-3) -> None:
        """Let nothing through that differs by more than this.

        Raises:
            ParityError: A difference is larger, or not a number, or nothing was compared.
        """
        if self.scans and self.logits <= logits and self.class_maps <= class_maps:
            return
        msg = (
            f"the exported graph must equal the network to {logits:g} in logits and {class_maps:g} in class maps, "
            f"got {self.logits:.3g} and {self.class_maps:.3g} on {self.scans} scans; install the library versions "
            "of requirements.txt and export again"
        )
        raise ParityError(msg)


def export_onnx(network: Network, path: Path) -> None:
    """Write a network as an ONNX graph, whole or not at all.

    The graph turns ``scan``, float32 ``(n, size, size, 1)`` of 0 to 255 with any ``n``, into ``logits`` ``(n, k)``
    ``class_maps`` ``(n, mh, mw, k)`` and ``features`` ``(n, f)``. Layers in another precision are written in float32.

    Raises:
        ConfigError: Keras does not run on TensorFlow.
        ParityError: The graph came out with other inputs or outputs.
        ResourceError: The disk is full.
    """
    backend = keras.backend.backend()
    if backend != "tensorflow":
        msg = f"exporting needs Keras on tensorflow, got {backend}; set KERAS_BACKEND=tensorflow and export again"
        raise ConfigError(msg)
    size = network.config.size
    scan = keras.InputSpec(shape=(None, size, size, 1), dtype="float32", name="scan")
    with atomic_file(path) as temporary:
        with _quiet():
            _with_features(in_float32(network)).export(temporary, format="onnx", verbose=False, input_signature=[scan])
        model = onnx.load(temporary)
        _check_ends(model.graph)
        _name_dimensions(model.graph, network)
        onnx.checker.check_model(model)
        onnx.save(model, temporary)


def export_frozen_part(network: Network, path: Path) -> None:
    """Write the part below the cut as an ONNX graph from scans to activations, whole or not at all.

    Raises:
        ResourceError: The disk is full.
    """
    size = network.config.size
    scan = keras.InputSpec(shape=(None, size, size, 1), dtype="float32", name="scan")
    with atomic_file(path) as temporary, _quiet():
        in_float32(network).frozen_part.export(temporary, format="onnx", verbose=False, input_signature=[scan])


def predict_network(network: Network, inputs: InputBatch) -> tuple[Logits, ClassMaps]:
    """Score scans with the network itself, in inference mode.

    Args:
        network: The network.
        inputs: At least one scan, uint8 ``(n, size, size)``.

    Returns:
        The logits ``(n, k)`` and the class maps ``(n, mh, mw, k)``, float32.
    """
    parts: dict[str, list[np.ndarray]] = {name: [] for name in _OUTPUTS}
    for start in range(0, len(inputs), _BATCH):
        batch = inputs[start : start + _BATCH, ..., np.newaxis].astype(np.float32)
        outputs = network.model(batch, training=False)
        for name, found in parts.items():
            found.append(keras.ops.convert_to_numpy(outputs[name]))
    logits, class_maps = (np.concatenate(parts[name]) for name in _OUTPUTS)
    return logits, class_maps


def parity(network: Network, run: Callable[[InputBatch], tuple[Logits, ClassMaps]], inputs: InputBatch) -> ParityReport:
    """Compare a network with whatever claims to compute the same.

    Args:
        network: The network; in float32, whatever precision it was trained in.
        run: From scans ``(n, size, size)`` to logits and class maps.
        inputs: The scans to compare on.

    Returns:
        The largest differences.
    """
    if not len(inputs):
        return ParityReport(math.nan, math.nan, 0)
    ours = predict_network(in_float32(network), inputs)
    theirs = run(inputs)
    logits, class_maps = (_difference(one, other) for one, other in zip(ours, theirs, strict=True))
    return ParityReport(logits, class_maps, len(inputs))


def save_network(network: Network, path: Path) -> None:
    """Write the whole network as a ``.keras`` file, whole or not at all.

    ``build`` reads it again when it is the ``weights`` of a plan: arrays only, into our own architecture.

    Raises:
        ConfigError: ``path`` does not end in ``.keras``.
        ResourceError: The disk is full.
    """
    if path.suffix != ".keras":
        msg = f"{path}: a network's file must end in .keras, got {path.suffix!r}; choose another name"
        raise ConfigError(msg)
    with atomic_file(path) as temporary:
        network.model.save(temporary)


def extract_head(network: Network) -> LinearHead:
    """Give the head's arrays, and how often training left each feature out."""
    kernel = keras.ops.convert_to_numpy(network.model.get_layer(HEAD).kernel).astype(np.float32)
    config = network.config
    by_difference = config.head == "pyramid" and config.healthy is not None
    if by_difference:
        kernel = kernel - kernel[:, config.healthy, np.newaxis]
    rate = np.full(len(kernel), network.model.get_layer(FEATURES).rate, np.float32)
    return LinearHead(kernel, network.bias.astype(np.float32), rate, by_position=by_difference)


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).max()) if one.shape == other.shape else math.nan


def _with_features(network: Network) -> keras.Model:
    """Add the feature means, for out-of-distribution detection, and for the pyramid head the features themselves."""
    pool = keras.layers.GlobalAveragePooling2D(name="features_mean", dtype="float32")
    layer = network.model.get_layer
    outputs = {**network.model.output, "features": pool(layer(pooled_layer(network.config.head)).output)}
    if network.config.head == "pyramid":
        outputs[_OPTIONAL] = layer(FEATURES).output
    return keras.Model(network.model.inputs[0], outputs, name="exported")


def _check_ends(graph: onnx.GraphProto) -> None:
    """Refuse a graph that asks for more than a scan: some exports do, and say nothing."""
    constants = {tensor.name for tensor in graph.initializer}
    inputs = sorted(value.name for value in graph.input if value.name not in constants)
    outputs = sorted(value.name for value in graph.output)
    if inputs != ["scan"] or sorted({*outputs} - {_OPTIONAL}) != sorted(_EXPORTED):
        msg = (
            f"the exported graph must turn scan into {', '.join(sorted(_EXPORTED))}, got "
            f"{', '.join(inputs)} into {', '.join(outputs)}; install the library versions of requirements.txt"
        )
        raise ParityError(msg)


def _name_dimensions(graph: onnx.GraphProto, network: Network) -> None:
    """Write down the shapes we know: any number of scans, and maps of one size."""
    maps = (*network.map_shape, network.config.classes)
    layer = network.model.get_layer
    known = {
        "scan": (),
        "logits": (network.config.classes,),
        "class_maps": maps,
        "features": (layer(pooled_layer(network.config.head)).output.shape[-1],),
        _OPTIONAL: layer(FEATURES).output.shape[1:],
    }
    for value in (*graph.input, *graph.output):
        batch, *rest = value.type.tensor_type.shape.dim
        batch.dim_param = "n"
        for dimension, size in zip(rest, known.get(value.name, ()), strict=False):
            dimension.dim_value = size


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the converter's chatter from the screen; what it raises still comes through."""
    loggers = [logging.getLogger(name) for name in ("tf2onnx", "tensorflow", "absl")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
