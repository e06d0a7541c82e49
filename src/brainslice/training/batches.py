"""Batches in an order that depends only on seed and epoch, so that an interrupted run resumes exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from brainslice.array_types import Bool, Float32, Int
from brainslice.arrays import Labels
from brainslice.errors import UsageError
from brainslice.models import class_weights, mixup, one_hot, sample_weights

Rows: TypeAlias = Int[np.ndarray, " _"]
Inputs: TypeAlias = Float32[np.ndarray, "_ ..."]
Fetch: TypeAlias = Callable[[Rows, np.random.Generator], Inputs]
Targets: TypeAlias = Float32[np.ndarray, "b k"] | dict[str, Float32[np.ndarray, "b _"]]
"""One-hot labels; with outlines a dictionary of ``logits`` and ``positions``, as ``PositionLoss`` takes them."""

Weights: TypeAlias = Float32[np.ndarray, " b"] | dict[str, Float32[np.ndarray, " b"]]
Batch: TypeAlias = tuple[Inputs, Targets, Weights]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """Rows to train on, their targets and class weights.

    Attributes:
        rows: Which scans train ``(n,)``; a row may occur more than once.
        targets: One-hot classes ``(n, k)``.
        weights: Class weights ``(k,)``.
        known: For which scans the class of every position is known ``(n,)``; None without outlines.
    """

    rows: Int[np.ndarray, " n"]
    targets: Float32[np.ndarray, "n k"]
    weights: Float32[np.ndarray, " k"]
    known: Bool[np.ndarray, " n"] | None = None

    def __post_init__(self) -> None:
        """Check that there is a scan."""
        if len(self.rows) == 0:
            msg = "training needs at least one scan, got none; check the split with `brainslice audit`"
            raise UsageError(msg)


def make_training_data(
    rows: Rows, labels: Labels, classes: int, *, weighted: bool, oversampled: bool, seed: int
) -> TrainingData:
    """Make targets for rows, with class weights ``N / (C n_c)``, or with rare classes repeated."""
    if oversampled:
        rows = _oversample(rows, labels, seed)
    chosen = labels[rows]
    weights = class_weights(chosen, classes) if weighted else np.ones(classes, np.float32)
    return TrainingData(rows, one_hot(chosen, classes), weights)


def _oversample(rows: Rows, labels: Labels, seed: int) -> Rows:
    generator = np.random.default_rng([seed, 3])
    by_class = [rows[labels[rows] == label] for label in np.unique(labels[rows])]
    most = max(map(len, by_class))
    extra = [generator.choice(members, most - len(members)) for members in by_class]
    return np.sort(np.concatenate([rows, *extra]))


@dataclass(frozen=True, slots=True)
class Shuffle:
    """Settings of batches.

    Attributes:
        batch_size: Scans in a batch; the last, smaller batch of an epoch is left out where there is another.
        seed: Determines order and mixing, together with the epoch.
        mixing: The two parameters of the Beta distribution of MixUp, or None.
    """

    batch_size: int
    seed: int
    mixing: tuple[float, float] | None = None


class BatchSequence:
    """Batches of one epoch at a time: inputs, soft labels, sample weights."""

    def __init__(self, data: TrainingData, fetch: Fetch, shuffle: Shuffle) -> None:
        """Set the data, the function that returns inputs of rows, and the settings."""
        self._data, self._fetch, self._shuffle = data, fetch, shuffle
        self._order = np.arange(len(data.rows))
        self._epoch = 0
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Set the order of an epoch, which depends on seed and epoch only."""
        self._epoch = epoch
        generator = np.random.default_rng([self._shuffle.seed, epoch])
        self._order = generator.permutation(len(self._data.rows))

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return max(1, len(self._data.rows) // self._shuffle.batch_size)

    def __getitem__(self, index: int) -> Batch:
        """Return one batch."""
        start = index * self._shuffle.batch_size
        chosen = self._order[start : start + self._shuffle.batch_size]
        generator = np.random.default_rng([self._shuffle.seed, self._epoch, index])
        inputs = self._fetch(self._data.rows[chosen], generator)
        targets = self._data.targets[chosen]
        if self._shuffle.mixing is not None:
            mixed = mixup(inputs, targets, self._shuffle.mixing, generator)
            inputs, targets = mixed.images, mixed.targets
        weights = sample_weights(targets, self._data.weights)
        if self._data.known is None:
            return inputs, targets, weights
        known = self._data.known[chosen, np.newaxis].astype(np.float32)
        outputs = {"logits": targets, "positions": np.concatenate([targets, known], axis=1)}
        return inputs, outputs, dict.fromkeys(outputs, weights)
