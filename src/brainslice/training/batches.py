"""Batches in an order that is a function of the seed and the epoch, so that an interrupted run can go on exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float32, Int

from brainslice.arrays import Labels
from brainslice.errors import UsageError
from brainslice.models.losses import class_weights, mixup, one_hot, sample_weights

Rows: TypeAlias = Int[np.ndarray, " _"]
Inputs: TypeAlias = Float32[np.ndarray, "_ ..."]
Fetch: TypeAlias = Callable[[Rows, np.random.Generator], Inputs]
Targets: TypeAlias = Float32[np.ndarray, "b k"] | dict[str, Float32[np.ndarray, "b _"]]
"""One-hot labels; with outlines ``logits``, and ``positions`` with a column more, as ``PositionLoss`` takes them."""

Weights: TypeAlias = Float32[np.ndarray, " b"] | dict[str, Float32[np.ndarray, " b"]]
Batch: TypeAlias = tuple[Inputs, Targets, Weights]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """What is to be learnt: rows of some array, their classes, and how much each counts.

    Attributes:
        rows: Which scans train ``(n,)``; a row may stand more than once.
        targets: One-hot classes ``(n, k)``.
        weights: How much a scan of each class counts ``(k,)``.
        known: For which scans the class of every position is known ``(n,)``; None without outlines.
    """

    rows: Int[np.ndarray, " n"]
    targets: Float32[np.ndarray, "n k"]
    weights: Float32[np.ndarray, " k"]
    known: Bool[np.ndarray, " n"] | None = None

    def __post_init__(self) -> None:
        """Refuse an empty lesson."""
        if len(self.rows) == 0:
            msg = "training needs at least one scan, got none; look at the split with `brainslice audit`"
            raise UsageError(msg)


def make_training_data(
    rows: Rows, labels: Labels, classes: int, *, weighted: bool, oversampled: bool, seed: int
) -> TrainingData:
    """Set up what is to be learnt from some rows of a labelled set.

    Args:
        rows: The scans that train, as places in ``labels``.
        labels: The classes of the whole set ``(n,)``.
        classes: How many classes there are.
        weighted: Weigh every scan with ``N / (C n_c)`` of its class (A12).
        oversampled: Repeat scans of rare classes until all classes are as frequent as the most frequent one.
        seed: Which scans are repeated.
    """
    if oversampled:
        rows = _oversample(rows, labels, seed)
    mine = labels[rows]
    weights = class_weights(mine, classes) if weighted else np.ones(classes, np.float32)
    return TrainingData(rows, one_hot(mine, classes), weights)


def _oversample(rows: Rows, labels: Labels, seed: int) -> Rows:
    generator = np.random.default_rng([seed, 3])
    by_class = [rows[labels[rows] == label] for label in np.unique(labels[rows])]
    most = max(map(len, by_class))
    extra = [generator.choice(members, most - len(members)) for members in by_class]
    return np.sort(np.concatenate([rows, *extra]))


@dataclass(frozen=True, slots=True)
class Shuffle:
    """How a lesson is cut into batches.

    Attributes:
        batch_size: Scans in a batch; the last, smaller batch of an epoch is left out where there is another.
        seed: Decides order and mixing together with the epoch.
        mixing: The two parameters of the Beta distribution of MixUp, or None.
    """

    batch_size: int
    seed: int
    mixing: tuple[float, float] | None = None


class BatchSequence:
    """Batches of one epoch at a time: inputs, soft labels, sample weights."""

    def __init__(self, lesson: TrainingData, fetch: Fetch, shuffle: Shuffle) -> None:
        """Take what is to be learnt and how to get the inputs of some rows."""
        self._lesson, self._fetch, self._shuffle = lesson, fetch, shuffle
        self._order = np.arange(len(lesson.rows))
        self._epoch = 0
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Set the order of an epoch; the same seed and epoch always give the same one."""
        self._epoch = epoch
        generator = np.random.default_rng([self._shuffle.seed, epoch])
        self._order = generator.permutation(len(self._lesson.rows))

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return max(1, len(self._lesson.rows) // self._shuffle.batch_size)

    def __getitem__(self, index: int) -> Batch:
        """Make one batch."""
        start = index * self._shuffle.batch_size
        chosen = self._order[start : start + self._shuffle.batch_size]
        generator = np.random.default_rng([self._shuffle.seed, self._epoch, index])
        inputs = self._fetch(self._lesson.rows[chosen], generator)
        targets = self._lesson.targets[chosen]
        if self._shuffle.mixing is not None:
            mixed = mixup(inputs, targets, self._shuffle.mixing, generator)
            inputs, targets = mixed.images, mixed.targets
        weights = sample_weights(targets, self._lesson.weights)
        if self._lesson.known is None:
            return inputs, targets, weights
        known = self._lesson.known[chosen, np.newaxis].astype(np.float32)
        both = {"logits": targets, "positions": np.concatenate([targets, known], axis=1)}
        return inputs, both, dict.fromkeys(both, weights)
