from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brainslice.errors import ConfigError
from brainslice.models.build import Network
from brainslice.models.weights import load_arrays, weights_digest


def write_keras_3(model: keras.Model, folder: Path) -> Path:
    model.save_weights(folder / "w.weights.h5")
    return folder / "w.weights.h5"


def write_keras_file(model: keras.Model, folder: Path) -> Path:
    model.save(folder / "w.keras")
    return folder / "w.keras"


def write_keras_2(model: keras.Model, folder: Path) -> Path:
    """Write the layout of the files that Keras downloads, by hand: nothing writes it any more."""
    layers = [*model.layers]
    with h5py.File(folder / "w.h5", "w") as file:
        file.attrs["layer_names"] = np.array([layer.name for layer in layers], "S")
        for layer in layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{weight.name}:0".encode() for weight in layer.weights]
            group.attrs["weight_names"] = names
            for name, weight in zip(names, layer.weights, strict=True):
                group[name] = weight.numpy()
    return folder / "w.h5"


def write_normalised_keras_2(model: keras.Model, folder: Path) -> Path:
    path = write_keras_2(model, folder)
    with h5py.File(path, "r+") as file:
        file.attrs["layer_names"] = np.array([b"normalization_3", *file.attrs["layer_names"]])
        group = file.create_group("normalization_3")
        group.attrs["weight_names"] = np.array([b"mean"])
        group["mean"] = np.zeros(3)
    return path


WRITERS = [write_keras_3, write_keras_file, write_keras_2, write_normalised_keras_2]


@pytest.mark.parametrize("write", WRITERS)
def test_every_layout_brings_every_array_back(
    write: Callable[[keras.Model, Path], Path], make_tiny: Callable[..., Network], tmp_path: Path
) -> None:
    written, read = make_tiny(seed=1).model, make_tiny(seed=2).model
    path = write(written, tmp_path)
    assert weights_digest(read) != weights_digest(written)
    load_arrays(read, path)
    assert weights_digest(read) == weights_digest(written)


@pytest.mark.parametrize("ending", ["weights", "weights.h5", "h5", "bin"])
def test_a_file_is_known_by_its_content_not_by_its_ending(tiny: Network, tmp_path: Path, ending: str) -> None:
    path = write_keras_3(tiny.model, tmp_path).rename(tmp_path / f"other.{ending}")
    load_arrays(tiny.model, path)


def test_one_changed_number_changes_the_digest(tiny: Network) -> None:
    before = weights_digest(tiny.model)
    kernel = tiny.model.get_layer("cut").kernel
    kernel.assign(kernel + np.eye(1, kernel.shape[-1], dtype=np.float32) * 1e-6)
    assert weights_digest(tiny.model) != before


def refused(model: keras.Model, path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_arrays(model, path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert "; " in message
    return message


def test_an_absent_file_is_told_plainly(tiny: Network, tmp_path: Path) -> None:
    assert "no such weights file" in refused(tiny.model, tmp_path / "absent.h5")
    assert "no such weights file" in refused(tiny.model, tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a weights file", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"])
def test_what_is_no_hdf5_is_refused(tiny: Network, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w.h5"
    path.write_bytes(content)
    assert "damaged or not HDF5" in refused(tiny.model, path)


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(
    write: Callable[[keras.Model, Path], Path], share: float, tiny: Network, tmp_path: Path
) -> None:
    path = write(tiny.model, tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    before = weights_digest(tiny.model)
    assert "damaged" in refused(tiny.model, path)
    assert weights_digest(tiny.model) == before


@pytest.mark.parametrize("write", WRITERS)
def test_weights_of_another_architecture_are_refused_with_the_first_difference(
    write: Callable[[keras.Model, Path], Path], make_tiny: Callable[..., Network], tmp_path: Path
) -> None:
    deeper = make_tiny(keras.layers.Conv2D(1, 1, name="extra")).model
    message = refused(make_tiny().model, write(deeper, tmp_path))
    assert "another network" in message
    assert refused(deeper, write(make_tiny().model, tmp_path)).count("another network") == 1


def test_arrays_of_another_shape_are_refused_by_their_layers_name(tiny: Network, tmp_path: Path) -> None:
    path = write_keras_3(tiny.model, tmp_path)
    with h5py.File(path, "r+") as file:
        del file["layers/conv2d_1/vars/0"]
        file["layers/conv2d_1/vars/0"] = np.zeros((3, 3, 5, 9), np.float32)
    assert "top must be [(3, 3, 5, 7), (7,)], got [(3, 3, 5, 9), (7,)]" in refused(tiny.model, path)


def test_an_array_that_only_claims_to_be_vast_costs_no_memory(tiny: Network, tmp_path: Path) -> None:
    path = write_keras_3(tiny.model, tmp_path)
    with h5py.File(path, "r+") as file:
        del file["layers/conv2d_1/vars/0"]
        file["layers/conv2d_1/vars"].create_dataset("0", (10**7, 10**6), np.float32, chunks=(1000, 1000))
    assert path.stat().st_size < 10**6
    assert "another network" in refused(tiny.model, path)


def test_an_archive_that_unpacks_to_far_more_is_refused_unopened(tiny: Network, tmp_path: Path) -> None:
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(40_000_000))
    assert "unpacks to 40000000 bytes" in refused(tiny.model, path)


def test_an_archive_of_something_else_is_refused(tiny: Network, tmp_path: Path) -> None:
    path = tmp_path / "other.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "damaged" in refused(tiny.model, path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused_and_change_nothing(
    tiny: Network, make_tiny: Callable[..., Network], tmp_path: Path, value: float
) -> None:
    sick = make_tiny(seed=3).model
    sick.get_layer("top").bias.assign(np.full(7, value, np.float32))
    before = weights_digest(tiny.model)
    assert "NaN or infinity" in refused(tiny.model, write_keras_3(sick, tmp_path))
    assert weights_digest(tiny.model) == before


@pytest.fixture(scope="module")
def healthy(make_tiny: Callable[..., Network], tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, bytes]:
    network = make_tiny()
    return network, write_keras_3(network.model, tmp_path_factory.mktemp("healthy")).read_bytes()


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_whatever_byte_is_damaged_the_file_loads_or_is_refused_in_one_line(
    healthy: tuple[Network, bytes], tmp_path: Path, place: float, value: int
) -> None:
    network, content = healthy
    damaged = bytearray(content)
    damaged[int(place * len(damaged))] = value
    path = tmp_path / "w.weights.h5"
    path.write_bytes(damaged)
    assert "\n" not in fault_of(network.model, path)


def fault_of(model: keras.Model, path: Path) -> str:
    try:
        load_arrays(model, path)
    except ConfigError as error:
        return str(error)
    return ""
