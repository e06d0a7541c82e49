from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from brainslice.config import TrainConfig
from brainslice.progress import silent
from brainslice.training.batches import BatchSequence, Shuffle, make_training_data
from brainslice.training.history import Epoch
from brainslice.training.stage import StageConfig, StageContext, ValidationScorer, run_stage

TRAIN = TrainConfig(warmup_epochs=0.5, early_stopping=False)
CONFIG = StageConfig("head", 4, 0.02, TRAIN)


class _StopError(Exception):
    pass


def clouds(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    return (generator.normal(size=(count, 5)) + 1.5 * np.eye(5)[labels]).astype(np.float32), labels


def model() -> keras.Model:
    keras.utils.set_random_seed(5)
    inputs = keras.Input((5,))
    dropped = keras.layers.Dropout(0.3, seed=1)(keras.layers.Dense(8, activation="relu")(inputs))
    return keras.Model(inputs, keras.layers.Dense(3)(dropped))


def run(network: keras.Model, config: StageConfig, path: Path, stop_after: int | None = None) -> tuple[Epoch, ...]:
    inputs, labels = clouds(96, 0)
    held_out, targets = clouds(60, 1)
    data = make_training_data(np.arange(96), labels, 3, weighted=True, oversampled=False, seed=0)
    batches = BatchSequence(data, lambda rows, _: inputs[rows], Shuffle(16, 9, (0.2, 0.2)))
    calls = []

    def score() -> np.ndarray:
        calls.append(1)
        if stop_after is not None and len(calls) > stop_after:
            raise _StopError
        return np.asarray(network.predict(held_out, verbose=0))

    return run_stage(network, batches, ValidationScorer(score, targets), config, StageContext("it", path, (), silent))


def test_loss_falls_and_epochs_are_returned(tmp_path: Path) -> None:
    epochs = run(model(), CONFIG, tmp_path / "head.npz")
    assert [epoch.number for epoch in epochs] == [1, 2, 3, 4]
    assert epochs[-1].validation_accuracy > 0.6
    assert epochs[-1].loss < epochs[0].loss
    assert epochs[-1].learning_rate < epochs[0].learning_rate


@pytest.mark.parametrize("momentum", [None, 0.9])
def test_interrupted_stage_gives_the_same_weights(tmp_path: Path, momentum: float | None) -> None:
    averaging = {} if momentum is None else {"ema": True, "ema_momentum": momentum}
    config = replace(CONFIG, train=TRAIN.model_copy(update=averaging))
    straight = model()
    whole = run(straight, config, tmp_path / "straight.npz")
    for stop_after in (1, 2, 3):
        broken, resumed = model(), model()
        with pytest.raises(_StopError):
            run(broken, config, tmp_path / f"{stop_after}.npz", stop_after)
        pieces = run(resumed, config, tmp_path / f"{stop_after}.npz")
        assert pieces == whole, stop_after
        for one, other in zip(straight.get_weights(), resumed.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_restores_the_best_weights(tmp_path: Path) -> None:
    network = model()
    epochs = run(
        network,
        replace(CONFIG, lr=0.5, epochs=6, train=TRAIN.model_copy(update={"cosine_decay": False})),
        tmp_path / "head.npz",
    )
    held_out, targets = clouds(60, 1)
    found = ValidationScorer(lambda: np.asarray(network.predict(held_out, verbose=0)), targets)()
    best = min(epochs, key=lambda epoch: epoch.validation_score)
    assert found.score == pytest.approx(best.validation_score, rel=1e-5)
    assert found.accuracy == pytest.approx(best.validation_accuracy)
    assert found.macro_f1 == pytest.approx(best.validation_macro_f1)


def test_stage_without_improvement_restores_its_first_weights(tmp_path: Path) -> None:
    network = model()
    start = network.get_weights()
    perfect = Epoch(1, "head", 0.1, 0.1, 1.0, 0.0, 1.0, -1.0, 1.0)
    context = StageContext("it", tmp_path / "tail.npz", (perfect,), silent)
    inputs, labels = clouds(96, 0)
    data = make_training_data(np.arange(96), labels, 3, weighted=True, oversampled=False, seed=0)
    batches = BatchSequence(data, lambda rows, _: inputs[rows], Shuffle(16, 9))
    scorer = ValidationScorer(lambda: np.asarray(network.predict(inputs, verbose=0)), labels)
    epochs = run_stage(network, batches, scorer, replace(CONFIG, name="tail"), context)
    assert [epoch.stage for epoch in epochs] == ["head", *["tail"] * 4]
    for one, other in zip(start, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_early_stopping(tmp_path: Path) -> None:
    train = TRAIN.model_copy(update={"cosine_decay": False, "early_stopping": True, "early_stopping_patience": 2})
    config = replace(CONFIG, lr=2.0, epochs=40, train=train)
    epochs = run(model(), config, tmp_path / "head.npz")
    scores = [epoch.validation_score for epoch in epochs]
    assert len(epochs) < 40
    assert len(scores) - 1 - scores.index(min(scores)) == 2


def test_time_limit(tmp_path: Path) -> None:
    assert len(run(model(), replace(CONFIG, minutes=1e-9), tmp_path / "head.npz")) == 1
