"""Export networks to ONNX, check parity, and save them."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import onnx
import tensorflow as tf
from tf2onnx.convert import from_graph_def

from brainslice.arrays import ClassMaps, InputBatch, Logits
from brainslice.decision import LinearHead
from brainslice.errors import ConfigError, ParityError
from brainslice.files import atomic_file
from brainslice.models.build import Network, in_float32
from brainslice.models.head import FEATURES, HEAD, pooled_layer
from brainslice.models.losses import Tensor

_OUTPUTS = ("logits", "class_maps")
_EXPORTED = (*_OUTPUTS, "features")
_OPTIONAL = "feature_maps"
"""The features of the pyramid head at every position, for Monte Carlo dropout."""

_BATCH = 32


@dataclass(frozen=True, slots=True)
class ParityReport:
    """The largest absolute differences of an exported graph from its network.

    Attributes:
        logits: Over all logits; NaN if one is NaN.
        class_maps: Over all positions of all class maps.
        scans: The number of scans compared.
    """

    logits: float
    class_maps: float
    scans: int

    def require(self, logits: float = 1e-4, class_maps: float = 1e-3) -> None:
        """Check that the differences are within limits.

        Raises:
            ParityError: A difference is larger, or NaN, or no scan was compared.
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
    """Write a network as an ONNX graph in float32, whole or not at all.

    Input: ``scan``, float32 ``(n, size, size, 1)`` of 0 to 255 with any ``n``. Outputs: ``logits`` ``(n, k)``,
    ``class_maps`` ``(n, mh, mw, k)`` and ``features`` ``(n, f)``.

    Raises:
        ConfigError: Keras does not run on TensorFlow.
        ParityError: The graph has other inputs or outputs.
        ResourceError: The disk is full.
    """
    backend = keras.backend.backend()
    if backend != "tensorflow":
        msg = f"exporting needs Keras on tensorflow, got {backend}; set KERAS_BACKEND=tensorflow and export again"
        raise ConfigError(msg)
    with atomic_file(path) as temporary:
        model = _converted(_with_features(in_float32(network)), network.config.size)
        _check_inputs_outputs(model.graph)
        _name_dimensions(model.graph, network)
        canonicalise(model.graph)
        onnx.checker.check_model(model)
        temporary.write_bytes(model.SerializeToString(deterministic=True))


def export_frozen_part(network: Network, path: Path) -> None:
    """Write the frozen part as an ONNX graph from scans to activations, whole or not at all.

    Raises:
        ResourceError: The disk is full.
    """
    with atomic_file(path) as temporary:
        temporary.write_bytes(_converted(in_float32(network).frozen_part, network.config.size).SerializeToString())


def _converted(model: keras.Model, size: int) -> onnx.ModelProto:
    """Convert a model of scans.

    Its arrays are traced as constants, since finding and freezing variables takes a third of an export.
    """
    arrays = [(variable, keras.ops.convert_to_numpy(variable)) for variable in model.variables]

    def call(scan: Tensor) -> dict[str, Tensor]:
        with keras.StatelessScope([(variable, tf.constant(array)) for variable, array in arrays]):
            outputs = model(scan, training=False)
        return outputs if isinstance(outputs, dict) else {"activations": outputs}

    signature = [tf.TensorSpec((None, size, size, 1), tf.float32, "scan")]
    with _quiet():
        traced = tf.function(call, input_signature=signature, autograph=False).get_concrete_function()
        names = {tensor.name: name for name, tensor in sorted(traced.structured_outputs.items())}
        converted: onnx.ModelProto = from_graph_def(
            traced.graph.as_graph_def(add_shapes=True),
            input_names=["scan:0"],
            output_names=list(names),
            tensors_to_rename={"scan:0": "scan", **names},
        )[0]
    return converted


def predict_network(network: Network, inputs: InputBatch) -> tuple[Logits, ClassMaps]:
    """Compute logits ``(n, k)`` and class maps ``(n, mh, mw, k)`` of scans ``(n, size, size)`` with Keras."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in _OUTPUTS}
    for start in range(0, len(inputs), _BATCH):
        batch = inputs[start : start + _BATCH, ..., np.newaxis].astype(np.float32)
        outputs = network.model(batch, training=False)
        for name, batches in parts.items():
            batches.append(keras.ops.convert_to_numpy(outputs[name]))
    logits, class_maps = (np.concatenate(parts[name]) for name in _OUTPUTS)
    return logits, class_maps


def parity(network: Network, run: Callable[[InputBatch], tuple[Logits, ClassMaps]], inputs: InputBatch) -> ParityReport:
    """Compare a network, in float32, with another implementation."""
    if not len(inputs):
        return ParityReport(math.nan, math.nan, 0)
    outputs = predict_network(in_float32(network), inputs)
    logits, class_maps = (_difference(one, other) for one, other in zip(outputs, run(inputs), strict=True))
    return ParityReport(logits, class_maps, len(inputs))


def save_network(network: Network, path: Path) -> None:
    """Write the network as a ``.keras`` file, whole or not at all; ``NetworkConfig.weights`` accepts it.

    Raises:
        ConfigError: ``path`` does not end in ``.keras``.
        ResourceError: The disk is full.
    """
    if path.suffix != ".keras":
        msg = f"{path}: a network's file must end in .keras, got {path.suffix!r}; choose another name"
        raise ConfigError(msg)
    with atomic_file(path) as temporary:
        network.model.save(temporary)
        _canonicalise_archive(temporary)


def _canonicalise_archive(path: Path) -> None:
    """Rewrite a ``.keras`` archive without times and memory addresses, so that equal networks give equal files."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    metadata, config = members["metadata.json"], members["config.json"]
    members["metadata.json"] = re.sub(rb'(?<="date_saved": ")[^"]*', b"1980-01-01@00:00:00", metadata)
    known = list(dict.fromkeys(re.findall(rb'"shared_object_id": (\d+)', config)))
    members["config.json"] = re.sub(rb'(?<="shared_object_id": )\d+', lambda hit: b"%d" % known.index(hit[0]), config)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)


def extract_head(network: Network) -> LinearHead:
    """Return the head's weights and dropout rates."""
    kernel = keras.ops.convert_to_numpy(network.model.get_layer(HEAD).kernel).astype(np.float32)
    rate = np.full(len(kernel), network.model.get_layer(FEATURES).rate, np.float32)
    bias, healthy = network.bias.astype(np.float32), network.config.reference_class
    if healthy is None:
        return LinearHead(kernel, bias, rate)
    kernel, share = kernel - kernel[:, healthy, np.newaxis], network.config.contralateral
    return LinearHead(kernel, bias, rate, by_position=True, contralateral=share, healthy=healthy)


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).max()) if one.shape == other.shape else math.nan


def _with_features(network: Network) -> keras.Model:
    """Add the outputs ``features``, and for the pyramid head ``feature_maps``."""
    pool = keras.layers.GlobalAveragePooling2D(name="features_mean", dtype="float32")
    layer = network.model.get_layer
    outputs = {**network.model.output, "features": pool(layer(pooled_layer(network.config.head)).output)}
    if network.config.head == "pyramid":
        outputs[_OPTIONAL] = layer(FEATURES).output
    return keras.Model(network.model.inputs[0], outputs, name="exported")


def _check_inputs_outputs(graph: onnx.GraphProto) -> None:
    """Check inputs and outputs: some exports add inputs without an error."""
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
    """Set the dimensions of inputs and outputs: ``n`` scans, and the sizes of the rest."""
    maps = (*network.map_shape, network.config.classes)
    layer = network.model.get_layer
    sizes = {
        "scan": (),
        "logits": (network.config.classes,),
        "class_maps": maps,
        "features": (layer(pooled_layer(network.config.head)).output.shape[-1],),
        _OPTIONAL: layer(FEATURES).output.shape[1:],
    }
    for value in (*graph.input, *graph.output):
        batch, *rest = value.type.tensor_type.shape.dim
        batch.dim_param = "n"
        for dimension, size in zip(rest, sizes.get(value.name, ()), strict=False):
            dimension.dim_value = size


def canonicalise(graph: onnx.GraphProto) -> None:
    """Order and name nodes and arrays by their place in the graph, so that equal networks give equal files.

    The converter's names count up with every network that a process builds. Inputs and outputs keep their names.
    """
    nodes = _depth_first(graph)
    names = {value.name: value.name for value in (*graph.input, *graph.output)} | {"": ""}
    for index, node in enumerate(nodes):
        for side in (node.input, node.output):
            side[:] = [names.setdefault(name, f"tensor_{len(names)}") for name in side]
        node.name, node.doc_string = f"{node.op_type}_{index}", ""
        node.attribute.sort(key=lambda attribute: attribute.name)
    used = {array.name: array for array in graph.initializer}
    arrays = [used[name] for name in names if name in used]
    for array in arrays:
        array.name = names[array.name]
    graph.name, graph.doc_string = "network", ""
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(arrays)


def _depth_first(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the nodes that the outputs need, each after those that make its inputs."""
    makers = {name: node for node in graph.node for name in node.output}
    ordered: dict[str, onnx.NodeProto] = {}
    pending = [makers[value.name] for value in reversed(graph.output)]
    while pending:
        node = pending[-1]
        missing = [name for name in node.input if name in makers and makers[name].output[0] not in ordered]
        if missing:
            pending.extend(makers[name] for name in reversed(missing))
        else:
            ordered.setdefault(pending.pop().output[0], node)
    return list(ordered.values())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the converter's output and warnings, not its exceptions."""
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
