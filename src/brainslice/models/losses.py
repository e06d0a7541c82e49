"""Losses, class weights and MixUp."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import keras
import numpy as np

from brainslice.array_types import Float32, Shaped
from brainslice.arrays import Labels
from brainslice.errors import ConfigError, DatasetError

Tensor: TypeAlias = Any
"""A tensor of TensorFlow, JAX or torch, or a symbolic one."""

_MIN_COMPLEMENT: Final = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class MixedBatch:
    """A batch after MixUp.

    Attributes:
        images: The mixed scans, float32, in the range of the inputs.
        targets: The mixed one-hot labels ``(n, k)``; every row sums to one.
    """

    images: Float32[np.ndarray, "n ..."]
    targets: Float32[np.ndarray, "n k"]


@keras.saving.register_keras_serializable(package="brainslice")
class CrossEntropyLoss(keras.losses.Loss):
    """Categorical cross-entropy on logits, one value for each scan.

    With the smoothing ``s`` a target is ``t = (1 - s)·y + s/k``, its loss ``log Σ exp z - Σ t·z``.

    Reference:
        Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR 2016, section 7.
    """

    def __init__(self, smoothing: float = 0.0, **kwargs: object) -> None:
        """Set the label smoothing.

        Raises:
            ConfigError: ``smoothing`` is not in ``[0, 1)``.
        """
        super().__init__(**kwargs)
        if not 0 <= smoothing < 1:
            msg = f"label smoothing must be in [0, 1), got {smoothing}"
            raise ConfigError(msg)
        self.smoothing = smoothing

    def call(self, targets: Tensor, logits: Tensor) -> Tensor:
        """Compute the loss of each scan.

        Returns:
            The losses ``(n,)``, in nats.
        """
        return -keras.ops.sum(self._smooth(targets) * _log_probabilities(logits), axis=-1)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "smoothing": self.smoothing}

    def _smooth(self, targets: Tensor) -> Tensor:
        targets = keras.ops.cast(targets, "float32")
        return targets * (1 - self.smoothing) + self.smoothing / targets.shape[-1]


@keras.saving.register_keras_serializable(package="brainslice")
class FocalLoss(CrossEntropyLoss):
    """Focal loss on logits: ``-Σ t·(1 - p)^γ·log p`` for targets ``t`` and probabilities ``p``.

    For MixUp targets it is the mixture of the two scans' losses, and at ``γ = 0`` the cross-entropy.

    Reference:
        Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, equation 4.
    """

    def __init__(self, gamma: float = 2.0, smoothing: float = 0.0, **kwargs: object) -> None:
        """Set the focusing parameter and the label smoothing.

        Raises:
            ConfigError: ``gamma`` is below 0, or ``smoothing`` is not in ``[0, 1)``.
        """
        super().__init__(smoothing, **kwargs)
        if not 0 <= gamma < math.inf:
            msg = f"the focal loss's gamma must be at least 0 and finite, got {gamma}"
            raise ConfigError(msg)
        self.gamma = gamma

    def call(self, targets: Tensor, logits: Tensor) -> Tensor:
        """Compute the loss of each scan ``(n,)``, in nats, as ``CrossEntropyLoss.call`` does."""
        logs = _log_probabilities(logits)
        # Bounded away from zero, where a power below one has no finite slope.
        complement = keras.ops.maximum(-keras.ops.expm1(logs), _MIN_COMPLEMENT)
        return -keras.ops.sum(self._smooth(targets) * complement**self.gamma * logs, axis=-1)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "gamma": self.gamma}


@keras.saving.register_keras_serializable(package="brainslice")
class RecallWeightedLoss(CrossEntropyLoss):
    """Cross-entropy weighted by class, to raise the recall of some classes at the cost of precision.

    A mixed scan has the mixture of its classes' weights. Weights are divided by their mean.

    Reference:
        King and Zeng, Logistic Regression in Rare Events Data, Political Analysis 2001, section 4.2.
    """

    def __init__(self, weights: Sequence[float], smoothing: float = 0.0, **kwargs: object) -> None:
        """Set the weight of each class, in the order of the outputs, and the label smoothing.

        Raises:
            ConfigError: A weight is not above 0, or ``smoothing`` is not in ``[0, 1)``.
        """
        super().__init__(smoothing, **kwargs)
        if not weights or not all(0 < weight < math.inf for weight in weights):
            msg = f"recall weights must be a number above 0 for each class, got {list(weights)}"
            raise ConfigError(msg)
        self.weights = tuple(float(weight) for weight in weights)

    def call(self, targets: Tensor, logits: Tensor) -> Tensor:
        """Compute the loss of each scan ``(n,)``, in nats, as ``CrossEntropyLoss.call`` does."""
        mean = sum(self.weights) / len(self.weights)
        shares = keras.ops.convert_to_tensor([weight / mean for weight in self.weights], dtype="float32")
        weight = keras.ops.sum(keras.ops.cast(targets, "float32") * shares, axis=-1)
        return weight * super().call(targets, logits)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "weights": list(self.weights)}


@keras.saving.register_keras_serializable(package="brainslice")
class PositionLoss(keras.losses.Loss):
    """Cross-entropy at every position of the class maps, for scans with a lesion outline.

    The target of a position is the scan's class by the share of its cell that the lesion covers, else the healthy
    class. Inside and outside have weight one half each; without lesion the outside has all.
    """

    def __init__(self, healthy: int, **kwargs: object) -> None:
        """Set the index of the healthy class."""
        super().__init__(**kwargs)
        self.healthy = healthy

    def call(self, targets: Tensor, positions: Tensor) -> Tensor:
        """Compute the loss of each scan.

        Args:
            targets: One-hot labels, then 1 if the outline is known, else 0 ``(n, k + 1)``.
            positions: Class maps, then the coverage of each cell ``(n, mh, mw, k + 1)``.

        Returns:
            The losses ``(n,)``, in nats; 0 without outline.
        """
        ops = keras.ops
        targets, positions = ops.cast(targets, "float32"), ops.cast(positions, "float32")
        inside = positions[..., -1]
        outside = 1 - inside
        logs = ops.log_softmax(positions[..., :-1], axis=-1)
        of_class = ops.sum(logs * targets[:, None, None, :-1], axis=-1)
        losses = -(inside * of_class + outside * logs[..., self.healthy])
        area = ops.sum(inside, axis=(1, 2))
        half = 0.5 * ops.cast(area > 0, "float32")
        weights = (half / ops.maximum(area, 0.5))[:, None, None] * inside
        weights += ((1 - half) / ops.maximum(ops.sum(outside, axis=(1, 2)), 0.5))[:, None, None] * outside
        return targets[:, -1] * ops.sum(losses * weights, axis=(1, 2))

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "healthy": self.healthy}


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Settings of the loss.

    Attributes:
        kind: ``cross_entropy``, ``focal`` or ``recall_weighted``.
        smoothing: Label smoothing.
        gamma: Focusing parameter of ``focal``.
        recall_weights: Class weights of ``recall_weighted``.
    """

    kind: str = "cross_entropy"
    smoothing: float = 0.0
    gamma: float = 2.0
    recall_weights: tuple[float, ...] = ()

    def loss(self) -> keras.losses.Loss:
        """Make the loss.

        Raises:
            ConfigError: There is no such loss, or a setting is out of range.
        """
        if self.kind == "focal":
            return FocalLoss(self.gamma, self.smoothing)
        if self.kind == "recall_weighted":
            return RecallWeightedLoss(self.recall_weights, self.smoothing)
        if self.kind != "cross_entropy":
            msg = f"train.loss must be cross_entropy, focal or recall_weighted, got {self.kind!r}"
            raise ConfigError(msg)
        return CrossEntropyLoss(self.smoothing)


def _log_probabilities(logits: Tensor) -> Tensor:
    return keras.ops.log_softmax(keras.ops.cast(logits, "float32"), axis=-1)


def one_hot(labels: Labels, classes: int) -> Float32[np.ndarray, "n k"]:
    """Return one-hot rows."""
    rows: Float32[np.ndarray, "n k"] = np.eye(classes, dtype=np.float32)[labels]
    return rows


def class_weights(labels: Labels, classes: int) -> Float32[np.ndarray, " k"]:
    """Compute balanced class weights ``w_c = N / (C·n_c)``, of mean one over the training scans.

    Raises:
        DatasetError: A class has no scan at all.
    """
    counts = np.bincount(labels, minlength=classes)
    if (counts == 0).any():
        empty = int(np.flatnonzero(counts == 0)[0])
        msg = f"every class must have a training scan, got none of class {empty}; add some or leave it out"
        raise DatasetError(msg)
    return (len(labels) / (classes * counts)).astype(np.float32)


def sample_weights(
    targets: Float32[np.ndarray, "n k"], weights: Float32[np.ndarray, " k"]
) -> Float32[np.ndarray, " n"]:
    """Return each scan's class weight ``(n,)``; for a mixed scan the mixture."""
    return np.asarray(targets @ weights)


def mixup(
    images: Shaped[np.ndarray, "n ..."],
    targets: Float32[np.ndarray, "n k"],
    shape: tuple[float, float],
    rng: np.random.Generator,
) -> MixedBatch:
    """Mix every scan with another of its batch: ``λ·x_i + (1 - λ)·x_j``, and their labels likewise.

    Args:
        images: The scans of a batch.
        targets: Their one-hot labels ``(n, k)``.
        shape: α and β of the beta distribution of λ, drawn for each scan.
        rng: The random generator.

    Raises:
        ConfigError: α or β is not above zero.

    Reference:
        Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018, equation 1.
    """
    if min(shape) <= 0:
        msg = f"MixUp's alpha and beta must be above 0, got {shape[0]} and {shape[1]}"
        raise ConfigError(msg)
    share = rng.beta(*shape, size=len(images)).astype(np.float32)
    partner = rng.permutation(len(images))
    image_share = share.reshape(-1, *[1] * (images.ndim - 1))
    scans = images.astype(np.float32)
    return MixedBatch(
        images=image_share * scans + (1 - image_share) * scans[partner],
        targets=share[:, None] * targets + (1 - share[:, None]) * targets[partner],
    )
