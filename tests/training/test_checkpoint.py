from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from brainslice.errors import ResourceError, UsageError
from brainslice.training.checkpoint import TrainingState, restore, save, save_arrays
from brainslice.training.history import Epoch

EPOCH = Epoch(1, "head", 0.01, 1.2, 0.4, 1.1, 0.5, 1.05, 0.45)


def model(seed: int = 5) -> keras.Model:
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((5,))
    dropped = keras.layers.Dropout(0.3, seed=1)(keras.layers.Dense(8, activation="relu")(inputs))
    network = keras.Model(inputs, keras.layers.Dense(3)(dropped))
    network.compile("adam", "mse")
    network.optimizer.build(network.trainable_variables)
    return network


def trained(steps: int) -> keras.Model:
    network = model()
    generator = np.random.default_rng(0)
    for _ in range(steps):
        network.train_on_batch(generator.normal(size=(8, 5)), generator.normal(size=(8, 3)))
    return network


def everything(network: keras.Model) -> list[np.ndarray]:
    variables = (*network.variables, *network.optimizer.variables)
    return [np.array(keras.ops.convert_to_numpy(value)) for value in variables]


def state_of(network: keras.Model, fingerprint: str = "it") -> TrainingState:
    return TrainingState(fingerprint, [EPOCH], 1.05, network.get_weights(), 12.5)


def rewrite(path: Path, **facts: object) -> None:
    with np.load(path) as arrays:
        kept = dict(arrays)
    old = json.loads(str(kept.pop("facts")))
    save_arrays(path, {**old, **facts}, kept)


def test_restores_weights_optimizer_and_random_generators(tmp_path: Path) -> None:
    network = trained(3)
    save(tmp_path / "head.npz", network, state_of(network))
    other = model(seed=6)
    restore(tmp_path / "head.npz", other, "it")
    for one, two in zip(everything(network), everything(other), strict=True):
        np.testing.assert_array_equal(one, two)


def test_restores_the_state_of_the_stage(tmp_path: Path) -> None:
    network = trained(1)
    save(tmp_path / "head.npz", network, state_of(network))
    found = restore(tmp_path / "head.npz", model(seed=6), "it")
    assert found is not None
    assert (found.epochs, found.best, found.seconds) == ([EPOCH], 1.05, 12.5)
    for one, two in zip(found.weights, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_no_checkpoint_restores_nothing(tmp_path: Path) -> None:
    assert restore(tmp_path / "head.npz", model(), "it") is None


def test_checkpoint_of_another_run_is_ignored(tmp_path: Path) -> None:
    network, other = trained(1), model(seed=6)
    save(tmp_path / "head.npz", network, state_of(network))
    before = everything(other)
    assert restore(tmp_path / "head.npz", other, "something else") is None
    for one, two in zip(before, everything(other), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("length", [0, 1000, -200])
def test_damaged_checkpoint_raises(tmp_path: Path, length: int) -> None:
    path = tmp_path / "head.npz"
    network = model()
    save(path, network, state_of(network))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UsageError, match="delete it"):
        restore(path, model(), "it")


@pytest.mark.parametrize("epochs", [[{"number": 1}], [{"unknown": 1}], None])
def test_checkpoint_with_invalid_epochs_raises(tmp_path: Path, epochs: object) -> None:
    path = tmp_path / "head.npz"
    network = model()
    save(path, network, state_of(network))
    rewrite(path, epochs=epochs)
    with pytest.raises(UsageError, match="delete it"):
        restore(path, model(), "it")


def test_checkpoint_of_another_shape_raises(tmp_path: Path) -> None:
    path = tmp_path / "head.npz"
    network = model()
    save(path, network, state_of(network))
    inputs = keras.Input((4,))
    other = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Dense(8)(inputs)))
    other.compile("adam", "mse")
    with pytest.raises(UsageError, match="delete it"):
        restore(path, other, "it")


def test_full_disk_keeps_the_previous_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "head.npz"
    network = model()
    save(path, network, state_of(network))
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(ResourceError, match="no space left"):
        save(path, network, state_of(network))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
