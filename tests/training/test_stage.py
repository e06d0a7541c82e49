from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from brainslice.models.losses import LossConfig
from brainslice.progress import silent
from brainslice.training.batches import BatchSequence, Shuffle, make_training_data
from brainslice.training.history import Epoch
from brainslice.training.stage import StageConfig, StageContext, ValidationScorer, run_stage

PLAN = StageConfig(
    name="head",
    epochs=4,
    optimizer="adamw",
    lr=0.02,
    weight_decay=0.01,
    cosine=True,
    warmup_epochs=0.5,
    loss=LossConfig(smoothing=0.05),
)


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


def study(network: keras.Model, plan: StageConfig, path: Path, stop_after: int | None = None) -> tuple[Epoch, ...]:
    inputs, labels = clouds(96, 0)
    held_out, truth = clouds(60, 1)
    lesson = make_training_data(np.arange(96), labels, 3, weighted=True, oversampled=False, seed=0)
    feed = BatchSequence(lesson, lambda rows, _: inputs[rows], Shuffle(16, 9, (0.2, 0.2)))
    asked = []

    def score() -> np.ndarray:
        asked.append(1)
        if stop_after is not None and len(asked) > stop_after:
            raise _StopError
        return np.asarray(network.predict(held_out, verbose=0))

    return run_stage(network, feed, ValidationScorer(score, truth), plan, StageContext("it", path, (), silent))


def test_learns_and_tells_what_happened(tmp_path: Path) -> None:
    epochs = study(model(), PLAN, tmp_path / "head.npz")
    assert [epoch.number for epoch in epochs] == [1, 2, 3, 4]
    assert epochs[-1].validation_accuracy > 0.6
    assert epochs[-1].loss < epochs[0].loss
    assert epochs[-1].learning_rate < epochs[0].learning_rate


@pytest.mark.parametrize("stop_after", [1, 2, 3])
@pytest.mark.parametrize("momentum", [None, 0.9])
def test_an_interrupted_stage_ends_with_the_weights_of_an_uninterrupted_one(
    tmp_path: Path, stop_after: int, momentum: float | None
) -> None:
    plan = replace(PLAN, ema_momentum=momentum)
    straight, broken = model(), model()
    whole = study(straight, plan, tmp_path / "straight.npz")
    with pytest.raises(_StopError):
        study(broken, plan, tmp_path / "broken.npz", stop_after)
    resumed = model()
    pieces = study(resumed, plan, tmp_path / "broken.npz")
    assert pieces == whole
    for one, other in zip(straight.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_ends_with_the_weights_that_validated_best(tmp_path: Path) -> None:
    network = model()
    epochs = study(network, replace(PLAN, lr=0.5, epochs=6, cosine=False), tmp_path / "head.npz")
    held_out, truth = clouds(60, 1)
    score, _, accuracy = ValidationScorer(lambda: np.asarray(network.predict(held_out, verbose=0)), truth)()
    best = min(epochs, key=lambda epoch: epoch.validation_score)
    assert score == pytest.approx(best.validation_score, rel=1e-5)
    assert accuracy == pytest.approx(best.validation_accuracy)


def test_a_stage_that_only_makes_it_worse_gives_back_what_it_started_from(tmp_path: Path) -> None:
    network = model()
    start = network.get_weights()
    perfect = Epoch(1, "head", 0.1, 0.1, 1.0, 0.0, 1.0, -1.0)
    course = StageContext("it", tmp_path / "tail.npz", (perfect,), silent)
    inputs, labels = clouds(96, 0)
    lesson = make_training_data(np.arange(96), labels, 3, weighted=True, oversampled=False, seed=0)
    feed = BatchSequence(lesson, lambda rows, _: inputs[rows], Shuffle(16, 9))
    examine = ValidationScorer(lambda: np.asarray(network.predict(inputs, verbose=0)), labels)
    epochs = run_stage(network, feed, examine, replace(PLAN, name="tail"), course)
    assert [epoch.stage for epoch in epochs] == ["head", *["tail"] * 4]
    for one, other in zip(start, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_stops_when_patience_is_over(tmp_path: Path) -> None:
    plan = replace(PLAN, lr=2.0, epochs=40, cosine=False, patience=2)
    epochs = study(model(), plan, tmp_path / "head.npz")
    scores = [epoch.validation_score for epoch in epochs]
    assert len(epochs) < 40
    assert len(scores) - 1 - scores.index(min(scores)) == 2


def test_starts_no_epoch_after_its_time(tmp_path: Path) -> None:
    assert len(study(model(), replace(PLAN, minutes=1e-9), tmp_path / "head.npz")) == 1
