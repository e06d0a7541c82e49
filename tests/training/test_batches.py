from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.errors import UsageError
from brainslice.training.batches import BatchSequence, Shuffle, TrainingData, make_training_data

LABELS = np.array([0, 0, 0, 0, 0, 0, 1, 1, 2, 2])
ROWS = np.arange(10)
PICTURES = np.arange(10, dtype=np.float32)[:, None] * np.ones((1, 3), np.float32)


def fetch(rows: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return PICTURES[rows]


def training_data(*, weighted: bool = False, oversampled: bool = False) -> TrainingData:
    return make_training_data(ROWS, LABELS, 3, weighted=weighted, oversampled=oversampled, seed=1)


def epoch(sequence: BatchSequence, number: int) -> list[tuple[np.ndarray, ...]]:
    sequence.set_epoch(number)
    return [sequence[place] for place in range(len(sequence))]


@given(seed=st.integers(0, 2**20), number=st.integers(0, 50))
def test_order_depends_on_seed_and_epoch(seed: int, number: int) -> None:
    one, other = (BatchSequence(training_data(), fetch, Shuffle(4, seed, (0.2, 0.2))) for _ in range(2))
    epoch(one, 0)
    for left, right in zip(epoch(one, number), epoch(other, number), strict=True):
        for first, second in zip(left, right, strict=True):
            np.testing.assert_array_equal(first, second)


def test_two_epochs_have_different_orders() -> None:
    sequence = BatchSequence(training_data(), fetch, Shuffle(5, 7))
    first, second = (np.concatenate([batch[0] for batch in epoch(sequence, number)]) for number in (0, 1))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(np.sort(first, axis=0), np.sort(second, axis=0))


def test_inputs_and_targets_stay_together() -> None:
    for inputs, targets, _ in epoch(BatchSequence(training_data(), fetch, Shuffle(5, 3)), 4):
        np.testing.assert_array_equal(targets.argmax(axis=1), LABELS[inputs[:, 0].astype(int)])


def test_mixup_mixes_labels_as_images() -> None:
    images = np.eye(3, dtype=np.float32)[LABELS]
    sequence = BatchSequence(training_data(), lambda rows, _: images[rows], Shuffle(5, 3, (1.0, 1.0)))
    batches = epoch(sequence, 0)
    for inputs, targets, _ in batches:
        np.testing.assert_allclose(inputs, targets, atol=1e-6)
    assert any(((targets > 0.01) & (targets < 0.99)).any() for _, targets, _ in batches)


def test_class_weights_balance_the_classes() -> None:
    totals = np.zeros(3)
    for _, targets, weights in epoch(BatchSequence(training_data(weighted=True), fetch, Shuffle(10, 0)), 0):
        totals += targets.T @ weights
    np.testing.assert_allclose(totals, 10 / 3, rtol=1e-5)


def test_oversampling_balances_the_classes_and_keeps_every_scan() -> None:
    taken = training_data(oversampled=True)
    np.testing.assert_array_equal(taken.targets.sum(axis=0), 6)
    assert set(taken.rows) == set(ROWS)


def test_no_training_scan_raises() -> None:
    with pytest.raises(UsageError, match="brainslice audit"):
        TrainingData(np.array([], int), np.zeros((0, 3), np.float32), np.ones(3, np.float32))
