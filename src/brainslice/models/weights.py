"""Load pretrained weights from a file into our own architecture.

Only arrays are read from a file, never a model description, so a malicious file cannot execute anything. All shapes
are compared before the first array is read.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import keras
import numpy as np

from brainslice.errors import ConfigError

SHIPPED_WEIGHTS = Path(__file__).with_name("efficientnetv2-b0.h5")
"""EfficientNetV2-B0 without head, in half precision: ImageNet weights fine-tuned on brain scans."""

_REMEDY = "give the weights file of this very architecture, without its classification head"
_MEMBER = "model.weights.h5"
_SIZE_MARGIN = 1 << 24


def load_arrays(model: keras.Model, path: Path) -> None:
    """Load the arrays of a weights file into a model's layers.

    Reads Keras 3 (``.weights.h5``), Keras 2 (``.h5``), and the arrays inside a ``.keras`` file, recognised by content.

    Raises:
        ConfigError: The file is absent, damaged, of another architecture, or holds NaN.
    """
    check_file(path)
    layers = [layer for layer in model.layers if layer.weights]
    with _opened(path, 4 * sum(layer.count_params() for layer in layers)) as store:
        arrays = _by_order(store) if "layer_names" in store.attrs else _by_class(store, layers)
        _compare(path, layers, arrays)
        values = [[np.asarray(array[()], np.float32) for array in group] for group in arrays]
    if not all(np.isfinite(value).all() for group in values for value in group):
        msg = f"{path}: the weights hold NaN or infinity; {_REMEDY}"
        raise ConfigError(msg)
    for layer, group in zip(layers, values, strict=True):
        layer.set_weights(group)


def check_file(path: Path) -> None:
    """Check that a file can be a weights file.

    Raises:
        ConfigError: The file is absent, or neither HDF5 nor an archive.
    """
    if not path.is_file():
        msg = f"{path}: there is no such weights file; download it first, or set weights to imagenet"
        raise ConfigError(msg)
    if not zipfile.is_zipfile(path) and not h5py.is_hdf5(path):
        raise ConfigError(_damage(path, "neither HDF5 nor a .keras archive"))


def weights_digest(model: keras.Model) -> str:
    """Return the sha256 of all arrays of a model; unlike a saved file's, it does not depend on the time of writing."""
    digest = hashlib.sha256()
    for weight in model.weights:
        value = np.ascontiguousarray(keras.ops.convert_to_numpy(weight))
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


@contextmanager
def _opened(path: Path, expected: int) -> Iterator[h5py.Group]:
    try:
        with h5py.File(_unpacked(path, expected), "r") as file:
            yield file.get("model_weights", file)
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise ConfigError(_damage(path, str(error))) from error


def _damage(path: Path, fault: str) -> str:
    line = " ".join(fault.split()).strip("'\"")
    return f"{path}: this weights file is damaged or not HDF5 ({line}); download it again"


def _unpacked(path: Path, expected: int) -> Path | io.BytesIO:
    if not zipfile.is_zipfile(path):
        return path
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo(_MEMBER).file_size
        if size > 2 * expected + _SIZE_MARGIN:
            msg = f"it unpacks to {size} bytes where the network needs {expected}"
            raise ValueError(msg)
        return io.BytesIO(archive.read(_MEMBER))


def _by_order(store: h5py.Group) -> list[list[h5py.Dataset]]:
    groups = []
    for name in store.attrs["layer_names"]:
        group = store[name]
        arrays = [group[array] for array in group.attrs["weight_names"]]
        # Normalisation is our own layer, so a file's constants are ignored.
        if arrays and not _text(name).startswith("normalization"):
            groups.append(arrays)
    return groups


def _by_class(store: h5py.Group, layers: list[keras.layers.Layer]) -> list[list[h5py.Dataset]]:
    numbers: dict[str, list[int]] = defaultdict(list)
    for name in store["layers"]:
        kind, number = _class_and_number(name)
        if _datasets(store["layers"][name]):
            numbers[kind].append(number)
    remaining = {kind: iter(sorted(each)) for kind, each in numbers.items() if kind != "normalization"}
    groups = []
    for layer in layers:
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(layer).__name__).lower()
        number = next(remaining.get(kind, iter(())), -1)
        groups.append([] if number < 0 else _datasets(store["layers"][f"{kind}_{number}" if number else kind]))
    groups.extend([[]] * sum(len(list(rest)) for rest in remaining.values()))
    return groups


def _class_and_number(name: str) -> tuple[str, int]:
    kind, _, number = name.rpartition("_")
    return (kind, int(number)) if kind and number.isdigit() else (name, 0)


def _datasets(group: h5py.Group) -> list[h5py.Dataset]:
    variables = group["vars"]
    return [variables[name] for name in sorted(variables, key=int)]


def _compare(path: Path, layers: list[keras.layers.Layer], arrays: list[list[h5py.Dataset]]) -> None:
    fault = ""
    if len(layers) != len(arrays):
        fault = f"its layers with weights must be {len(layers)}, got {len(arrays)}"
    for layer, group in zip(layers, arrays, strict=False):
        expected = [tuple(weight.shape) for weight in layer.weights]
        found = [tuple(array.shape) for array in group]
        if expected != found:
            fault = fault or f"{layer.name} must be {expected}, got {found}"
    if fault:
        msg = f"{path}: the weights are of another network: {fault}; {_REMEDY}"
        raise ConfigError(msg)


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
