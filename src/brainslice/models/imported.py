"""Read classifiers of other projects from Keras files."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import h5py
import keras
import numpy as np

from brainslice.array_types import Float32
from brainslice.errors import ConfigError
from brainslice.models.backbones import IMAGENET_DEVIATION, IMAGENET_MEAN
from brainslice.models.build import Network, NetworkConfig
from brainslice.models.head import HEAD, attach_head

_COLOURS: Final = 3
_SCALES: Final[dict[str, tuple[Any, Any]]] = {
    "0..255": (1.0, 0.0),
    "0..1": (1 / 255, 0.0),
    "-1..1": (1 / 127.5, -1.0),
    "caffe": ([1.0] * _COLOURS, [-103.939, -116.779, -123.68]),
    "torch": (
        [1 / (255 * deviation) for deviation in IMAGENET_DEVIATION],
        [-mean / deviation for mean, deviation in zip(IMAGENET_MEAN, IMAGENET_DEVIATION, strict=True)],
    ),
}
"""Factor and offset of grey values of 0 to 255; ``caffe`` and ``torch`` as in ``keras.applications``."""


@dataclass(frozen=True, slots=True)
class _Head:
    """The last dense layer, its input without dropout, and the dropout rate."""

    dense: keras.layers.Dense
    features: keras.KerasTensor
    rate: float


def read_classifier(path: Path, order: Sequence[int], pixels: str, size: int | None = None) -> Network:
    """Read a classifier as a network that returns logits and class maps.

    Class maps are computed where global average pooling and a dense layer end the model, since these commute; of any
    other model they have one position and show nothing.

    Args:
        path: A ``.keras`` or ``.h5`` file of a whole model of Keras' own layers.
        order: For each class, which of the model's outputs is its score; one sigmoid output counts as two.
        pixels: The range of grey values that the model expects: a key of ``_SCALES``.
        size: Rows and columns of its input; None where the file fixes them.

    Raises:
        ConfigError: The file holds no such model, or its input or output does not fit.
    """
    model = _cloned(path, load_keras_file(path))
    size, channels = _input_shape(path, model, size)
    head = _find_head(path, model)
    kernel, bias = _head_arrays(head.dense)
    if len(bias) != len(order):
        msg = f"{path}: the model must have {len(order)} classes as the prepared set has, got {len(bias)}"
        raise ConfigError(msg)
    scan = keras.Input((size, size, 1), name="scan")
    values = _scaled(scan, channels, pixels)
    features = keras.Model(model.inputs[0], head.features, name="imported")(values)
    if len(features.shape) == 2:  # noqa: PLR2004 - scans and features, without positions
        features = keras.layers.Reshape((1, 1, features.shape[-1]), name="position")(features)
    config = NetworkConfig(size=size, classes=len(order), dropout=head.rate, weights=None)
    whole = keras.Model(scan, attach_head(config, features, keras.Model(scan, features)), name="whole")
    whole.get_layer(HEAD).set_weights([kernel[:, list(order)], bias[list(order)]])
    return Network(config, whole, whole, whole)


def _cloned(path: Path, model: keras.Model) -> keras.Model:
    """Copy a model whose graph cannot be used as loaded: Sequential, or with normalisation layers.

    Loading calls each layer of a Sequential model several times; of a clone each layer has one input and one output.
    The constants of ``Normalization`` may become inputs of an exported graph, so ``Rescaling`` takes its place.
    """
    inner = list(model._flatten_layers())  # noqa: SLF001 - Keras has no public name for layers of nested models
    if not isinstance(model, keras.Sequential) and not any(map(_is_normalisation, inner)):
        return model
    if any(_is_normalisation(layer) and (layer.invert or np.size(layer.mean) not in {1, _COLOURS}) for layer in inner):
        msg = f"{path}: a Normalization layer must have one mean for each of three channels, or one for all; rebuild it"
        raise ConfigError(msg)
    copy = keras.models.clone_model(model, clone_function=_clone_layer, recursive=True)
    for old, new in zip(inner, copy._flatten_layers(), strict=True):  # noqa: SLF001 - as above
        if not isinstance(old, keras.Model) and not _is_normalisation(old):
            new.set_weights(old.get_weights())
    return copy


def _is_normalisation(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.Normalization)


def _clone_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
    if not _is_normalisation(layer):
        return type(layer).from_config(layer.get_config())
    deviation = np.maximum(np.sqrt(np.ravel(layer.variance)), keras.backend.epsilon())
    scale, offset = 1 / deviation, -np.ravel(layer.mean) / deviation
    if scale.size == 1:
        return keras.layers.Rescaling(float(scale[0]), float(offset[0]), name=layer.name)
    return keras.layers.Rescaling(scale.tolist(), offset.tolist(), name=layer.name)


def load_keras_file(path: Path) -> keras.Model:
    """Load a whole model of Keras' own layers; nothing in the file is executed.

    Raises:
        ConfigError: The file is missing or damaged, holds weights only, or has layers with code of their own.
    """
    foreign = sorted(set(_foreign_layers(_read_description(path))))
    if foreign:
        msg = f"{path}: the model must have Keras' own layers only, got {', '.join(foreign)}; rebuild it without them"
        raise ConfigError(msg)
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises errors of many kinds
        fault = " ".join(str(error).split())[:200]
        msg = f"{path}: Keras {keras.__version__} cannot load this model ({fault}); save it with Keras' own layers only"
        raise ConfigError(msg) from error
    if not getattr(model, "inputs", None):
        msg = f"{path}: the model must be functional or Sequential, got {type(model).__name__}"
        raise ConfigError(msg)
    return model


def _read_description(path: Path) -> Any:  # noqa: ANN401 - any JSON value
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return json.loads(archive.read("config.json"))
        with h5py.File(path, "r") as file:
            return json.loads(file.attrs["model_config"])
    except (OSError, KeyError, ValueError, RecursionError, zipfile.BadZipFile) as error:
        msg = (
            f"{path}: must be a whole model that model.save wrote to .keras or .h5, got something else or weights only"
        )
        raise ConfigError(msg) from error


def _foreign_layers(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    """Yield the names of classes that are not Keras' own, and of functions stored as code."""
    if isinstance(value, dict):
        name, module = str(value.get("class_name", "")), value.get("module") or "keras"
        if name in {"Lambda", "__lambda__"}:
            yield "Lambda"
        elif name and str(module).partition(".")[0] != "keras":
            yield f"{module}.{name}"
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _foreign_layers(each)


def _input_shape(path: Path, model: keras.Model, size: int | None) -> tuple[int, int]:
    """Return the side and the channels of the input."""
    shapes = [tuple(tensor.shape) for tensor in model.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][3] not in {1, _COLOURS}:  # noqa: PLR2004 - (n, h, w, c)
        msg = f"{path}: the model must have one input (n, h, w, 1) or (n, h, w, 3), got {shapes}"
        raise ConfigError(msg)
    _, rows, columns, channels = shapes[0]
    side = size if rows is None else rows
    if side is None:
        msg = f"{path}: the model takes pictures of any size; give --image-size"
        raise ConfigError(msg)
    if {rows, columns, size} - {None, side}:
        msg = f"{path}: the input must be square and of the size that is given, got {rows} x {columns} and {size}"
        raise ConfigError(msg)
    return side, channels


def _find_head(path: Path, model: keras.Model) -> _Head:
    makers = {id(layer.output): layer for layer in model.layers}
    layer, activations = makers.get(id(model.outputs[0])), []
    while isinstance(layer, keras.layers.Activation | keras.layers.Softmax):
        activations.append("softmax" if isinstance(layer, keras.layers.Softmax) else layer.activation.__name__)
        layer = makers.get(id(layer.input))
    if len(model.outputs) != 1 or not isinstance(layer, keras.layers.Dense) or len(layer.input.shape) != 2:  # noqa: PLR2004 - (n, f)
        last = "another model" if layer is None else type(layer).__name__
        msg = f"{path}: a Dense layer with a score for each class must end the model, got {last}"
        raise ConfigError(msg)
    found = {*activations, layer.activation.__name__} - {"linear"}
    if not found <= {"softmax" if layer.units > 1 else "sigmoid"}:
        names = ", ".join(sorted(found))
        msg = f"{path}: the output must be softmax or logits, or one sigmoid, got {layer.units} x {names}"
        raise ConfigError(msg)
    return _Head(layer, *_features(layer, makers))


def _features(dense: keras.layers.Dense, makers: dict[int, keras.layers.Layer]) -> tuple[keras.KerasTensor, float]:
    """Return what a dense layer is applied to: features at every position where global average pooling precedes it."""
    tensor, rate = dense.input, 0.0
    while isinstance(layer := makers.get(id(tensor)), keras.layers.Dropout):
        tensor, rate = layer.input, max(rate, layer.rate)
    if isinstance(layer, keras.layers.GlobalAveragePooling2D) and layer.data_format == "channels_last":
        tensor = layer.input
    return tensor, rate


def _head_arrays(dense: keras.layers.Dense) -> tuple[Float32[np.ndarray, "f k"], Float32[np.ndarray, " k"]]:
    """Return kernel and bias; one sigmoid output becomes two logits, the first of which is 0."""
    kernel, *rest = dense.get_weights()
    bias = rest[0] if rest else np.zeros(kernel.shape[1], np.float32)
    if kernel.shape[1] == 1:
        kernel, bias = np.pad(kernel, ((0, 0), (1, 0))), np.pad(bias, (1, 0))
    return kernel.astype(np.float32), bias.astype(np.float32)


def _scaled(scan: keras.KerasTensor, channels: int, pixels: str) -> keras.KerasTensor:
    if pixels not in _SCALES:
        msg = f"pixels must be one of {', '.join(_SCALES)}, got {pixels!r}"
        raise ConfigError(msg)
    scale, offset = _SCALES[pixels]
    if channels != _COLOURS and isinstance(scale, list):
        msg = f"pixels {pixels} are of models with three channels, this one has {channels}; give another range"
        raise ConfigError(msg)
    values = keras.layers.Concatenate(name="colour")([scan] * channels) if channels > 1 else scan
    return keras.layers.Rescaling(scale, offset, name="pixels")(values)
