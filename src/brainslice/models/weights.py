"""Pretrained arrays from a file, into an architecture of our own.

Only numbers are ever taken from a file, never a description of a model: whoever wrote the file cannot make us
build anything. Every shape is compared before the first array is read, so a wrong file costs neither time nor
memory.
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
"""Our own EfficientNetV2-B0 without a head, in half precision: ImageNet's, then trained on brain scans by us."""

_REMEDY = "give the weights file of this very architecture, without its classification head"
_INSIDE = "model.weights.h5"
_OVERHEAD = 1 << 24


def load_arrays(model: keras.Model, path: Path) -> None:
    """Fill a model's layers with the arrays of a weights file.

    Reads what Keras 3 writes (``.weights.h5``), what Keras 2 wrote and Keras still downloads (``.h5``), and
    the arrays inside a ``.keras`` file. A file is known by its content, not by its ending.

    Args:
        model: The architecture; its layers that hold weights are those the file must hold, in that order.
        path: The file.

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
    """Refuse at a glance what cannot be a weights file, before anything is built for it.

    Raises:
        ConfigError: The file is absent, or neither HDF5 nor an archive.
    """
    if not path.is_file():
        msg = f"{path}: there is no such weights file; download it first, or set weights to imagenet"
        raise ConfigError(msg)
    if not zipfile.is_zipfile(path) and not h5py.is_hdf5(path):
        raise ConfigError(_damage(path, "neither HDF5 nor a .keras archive"))


def weights_digest(model: keras.Model) -> str:
    """Hash every array of a model, shapes and numbers, to compare two runs.

    A saved file's own hash would not do: it holds the time of writing.

    Returns:
        sha256 in hexadecimal.
    """
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
    except (
        OSError,
        KeyError,
        RuntimeError,
        ValueError,
        TypeError,
        AttributeError,
        zipfile.BadZipFile,
    ) as error:
        raise ConfigError(_damage(path, str(error))) from error


def _damage(path: Path, fault: str) -> str:
    line = " ".join(fault.split()).strip("'\"")
    return f"{path}: this weights file is damaged or not HDF5 ({line}); download it again"


def _unpacked(path: Path, expected: int) -> Path | io.BytesIO:
    if not zipfile.is_zipfile(path):
        return path
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo(_INSIDE).file_size
        if size > 2 * expected + _OVERHEAD:
            msg = f"it unpacks to {size} bytes where the network needs {expected}"
            raise ValueError(msg)
        return io.BytesIO(archive.read(_INSIDE))


def _by_order(store: h5py.Group) -> list[list[h5py.Dataset]]:
    groups = []
    for name in store.attrs["layer_names"]:
        group = store[name]
        arrays = [group[array] for array in group.attrs["weight_names"]]
        # Normalisation is ours: it must not depend on whether a file happens to hold its constants.
        if arrays and not _text(name).startswith("normalization"):
            groups.append(arrays)
    return groups


def _by_class(store: h5py.Group, layers: list[keras.layers.Layer]) -> list[list[h5py.Dataset]]:
    numbers: dict[str, list[int]] = defaultdict(list)
    for name in store["layers"]:
        kind, number = _kind_and_number(name)
        if _datasets(store["layers"][name]):
            numbers[kind].append(number)
    places = {kind: iter(sorted(found)) for kind, found in numbers.items() if kind != "normalization"}
    groups = []
    for layer in layers:
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(layer).__name__).lower()
        place = next(places.get(kind, iter(())), -1)
        groups.append([] if place < 0 else _datasets(store["layers"][f"{kind}_{place}" if place else kind]))
    groups.extend([[]] * sum(len(list(rest)) for rest in places.values()))
    return groups


def _kind_and_number(name: str) -> tuple[str, int]:
    kind, _, number = name.rpartition("_")
    return (kind, int(number)) if kind and number.isdigit() else (name, 0)


def _datasets(group: h5py.Group) -> list[h5py.Dataset]:
    variables = group["vars"]
    return [variables[name] for name in sorted(variables, key=int)]


def _compare(path: Path, layers: list[keras.layers.Layer], arrays: list[list[h5py.Dataset]]) -> None:
    if len(layers) != len(arrays):
        fault = f"its layers with weights must be {len(layers)}, got {len(arrays)}"
        msg = f"{path}: the weights are of another network: {fault}; {_REMEDY}"
        raise ConfigError(msg)
    for layer, group in zip(layers, arrays, strict=True):
        ours = [tuple(weight.shape) for weight in layer.weights]
        theirs = [tuple(array.shape) for array in group]
        if ours != theirs:
            fault = f"{layer.name} must be {ours}, got {theirs}"
            msg = f"{path}: the weights are of another network: {fault}; {_REMEDY}"
            raise ConfigError(msg)


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
