"""Export the network of a bundle to TensorFlow Lite."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from brainslice.arrays import InputBatch, Probabilities
from brainslice.bundle import BundleInfo, ModelBundle
from brainslice.errors import BundleError, ParityError, UsageError
from brainslice.files import atomic_file, sha256_of, write_json
from brainslice.inference import Predictor, read_source
from brainslice.models import load_keras_file
from brainslice.phantom import KINDS, draw_phantom
from brainslice.training.bundle import KERAS_FILE, SECOND_KERAS_FILE

_MAX_DIFFERENCE: Final = 1e-4


def export_tflite(bundle: Path, path: Path) -> float:
    """Write the network of a bundle to a ``.tflite`` file, and how to use it to a ``.json`` file beside.

    Input: ``scan``, float32 ``(1, size, size, 1)`` of 0 to 255, preprocessed by the bundle's recipe. Output:
    ``probabilities`` ``(1, k)``, after the temperature. The file is compared with the bundle on drawn scans first.

    Returns:
        The largest difference of a probability from the bundle's.

    Raises:
        BundleError: The bundle is damaged, or holds no Keras file, as the shipped one and ensembles do not.
        UsageError: ``path`` does not end in ``.tflite``.
        ParityError: The file gives other probabilities; nothing is written.
        ResourceError: The disk is full.
    """
    if path.suffix != ".tflite":
        msg = f"{path}: the file must end in .tflite, got {path.suffix!r}; choose another name"
        raise UsageError(msg)
    predictor = Predictor.open(bundle)
    info, recipe = predictor.bundle.info, predictor.recipe
    if KERAS_FILE not in info.files:
        msg = (
            f"{bundle}: holds no {KERAS_FILE}, as the shipped bundle and ensembles do not, so its network cannot be "
            "converted; give the bundle of a network that train, adapt or import-keras wrote"
        )
        raise BundleError(msg)
    model = _with_probabilities(predictor.bundle)
    scan = keras.InputSpec(shape=(1, recipe.size, recipe.size, 1), dtype="float32", name="scan")
    drawn = np.stack([recipe(read_source(draw_phantom(kind, 0, 0, 0).pixels, None)) for kind in KINDS])
    expected = predictor.temperature.probabilities(predictor.score(drawn).logits)
    with atomic_file(path) as temporary:
        model.export(temporary, format="litert", verbose=False, input_signature=[scan])
        difference = float(np.abs(_run(temporary, drawn) - expected).max())
        if not difference <= _MAX_DIFFERENCE:
            msg = f"{path}: probabilities must equal those of {bundle} to {_MAX_DIFFERENCE:g}, got {difference:.3g}"
            raise ParityError(msg)
        write_json(path.with_suffix(".json"), _usage(info, path, temporary, difference), "tflite")
    return difference


def _usage(info: BundleInfo, path: Path, file: Path, difference: float) -> dict[str, Any]:
    """Say how a file is used: its input, its output, and the preprocessing."""
    size, classes = info.recipe["size"], list(info.labels.names)
    return {
        "file": {"name": path.name, "sha256": sha256_of(file)},
        "bundle": {"name": info.name, "digest": info.digest},
        "input": {"name": "scan", "shape": [1, size, size, 1], "dtype": "float32", "range": [0, 255]},
        "output": {"name": "probabilities", "shape": [1, len(classes)], "dtype": "float32"},
        "classes": classes,
        "healthy": info.labels.healthy,
        "threshold": info.threshold,
        "preprocessing": info.recipe,
        "temperature": info.temperature,
        "temperature_applied": True,
        "warnings": list(info.warnings),
        "largest_difference": difference,
        "use": "research use only, not for diagnosis",
    }


def _in_float32(model: keras.Model) -> keras.Model:
    """Copy a network of mixed precision: TensorFlow Lite has no operators for its 16-bit arithmetic."""
    if all(layer.compute_dtype == "float32" for layer in model.layers):
        return model
    copy = keras.models.clone_model(model, clone_function=_copy_in_float32)
    copy.set_weights(model.get_weights())
    return copy


def _with_probabilities(bundle: ModelBundle) -> keras.Model:
    info, model = bundle.info, _in_float32(load_keras_file(bundle.path(KERAS_FILE)))
    logits = model.output["logits"]
    if info.second_size is not None:
        enlarged = keras.layers.Resizing(info.second_size, info.second_size)(model.inputs[0])
        if info.second_network is None:
            other = _at_size(model, info.second_size)
        else:
            other = _in_float32(load_keras_file(bundle.path(SECOND_KERAS_FILE)))
        second = other(enlarged)["logits"]
        healthy = info.labels.names.index(info.labels.healthy)
        # As in the bundle's graph, whose logit of the healthy class is 0 at every size.
        logits = (logits + second - second[:, healthy : healthy + 1]) / 2
    return keras.Model(model.inputs[0], {"probabilities": keras.ops.softmax(logits / info.temperature)})


def _at_size(model: keras.Model, size: int) -> keras.Model:
    """Copy a network of scans for scans ``(n, size, size, 1)``."""
    config = model.get_config()
    [scan] = [layer for layer in config["layers"] if layer["class_name"] == "InputLayer"]
    scan["config"]["batch_shape"] = [None, size, size, 1]
    copy = keras.Model.from_config(config | {"name": "second"})
    copy.set_weights(model.get_weights())
    return copy


def _copy_in_float32(layer: keras.layers.Layer | keras.Operation) -> keras.layers.Layer | keras.Operation:
    policy = {"dtype": "float32"} if isinstance(layer, keras.layers.Layer) else {}
    return type(layer).from_config({**layer.get_config(), **policy})


def _run(path: Path, inputs: InputBatch) -> Probabilities:
    """Run a TensorFlow Lite file over network inputs ``(n, h, w)``."""
    with warnings.catch_warnings():
        # TensorFlow names the package that will replace its interpreter.
        warnings.simplefilter("ignore")
        interpreter = tf.lite.Interpreter(str(path))
    try:
        run = interpreter.get_signature_runner()
    except RuntimeError as error:
        fault = " ".join(str(error).split())[:200]
        msg = f"{path}: TensorFlow Lite cannot run this network ({fault}); use the bundle's model.onnx instead"
        raise ParityError(msg) from error
    batches = inputs[:, np.newaxis, ..., np.newaxis].astype(np.float32)
    return np.concatenate([run(scan=batch)["probabilities"] for batch in batches])
