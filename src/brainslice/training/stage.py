"""One stage of training: some epochs over a feed, judged on validation scans, and the best of them kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import keras
import numpy as np

from brainslice.arrays import Labels, Logits
from brainslice.decision.temperature import Temperature, fit_temperature
from brainslice.errors import CalibrationError
from brainslice.metrics.calibration import negative_log_likelihood
from brainslice.models.losses import LossConfig, PositionLoss
from brainslice.progress import Progress
from brainslice.training import checkpoint
from brainslice.training.batches import BatchSequence
from brainslice.training.checkpoint import TrainingState
from brainslice.training.history import Epoch

Score: TypeAlias = Callable[[], Logits]


@dataclass(frozen=True, slots=True)
class StageConfig:
    """How one stage trains.

    Attributes:
        name: ``head``, ``tail`` or ``all``: what is trained.
        epochs: Passes over the feed.
        optimizer: ``adamw``, ``adam`` or ``sgd``.
        lr: The highest learning rate.
        weight_decay: Decoupled, for ``adamw`` only.
        cosine: Let the learning rate fall along a half cosine to a hundredth; else it stays.
        warmup_epochs: Epochs in which the learning rate rises from zero.
        loss: What is minimised.
        ema_momentum: Judge and keep a moving average of the weights; None keeps the weights themselves.
        patience: Stop after this many epochs without a better validation score; None never stops early.
        minutes: Start no epoch after this long; None sets no limit.
        position_weight: How much ``PositionLoss`` counts beside the loss of the logits.
        healthy: Index of the healthy class, which ``PositionLoss`` needs.
    """

    name: str
    epochs: int
    optimizer: str
    lr: float
    weight_decay: float
    cosine: bool
    warmup_epochs: float
    loss: LossConfig
    ema_momentum: float | None = None
    patience: int | None = None
    minutes: float | None = None
    position_weight: float = 0.0
    healthy: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ValidationScorer:
    """Judges a model on validation scans that training never sees.

    Attributes:
        score: Gives the logits ``(n, k)`` of the validation scans as the model stands.
        labels: Their classes ``(n,)``.
    """

    score: Score
    labels: Labels

    def __call__(self) -> tuple[float, float, float]:
        """Judge the model as it stands.

        Returns:
            What is minimised (the negative log-likelihood at its best temperature, since temperature is fitted
            afterwards anyway), the plain negative log-likelihood, and the accuracy.
        """
        logits = self.score()
        plain = negative_log_likelihood(Temperature(1.0).probabilities(logits), self.labels)
        try:
            best = negative_log_likelihood(fit_temperature(logits, self.labels).probabilities(logits), self.labels)
        except CalibrationError:
            best = plain
        return best, plain, float((logits.argmax(axis=1) == self.labels).mean())


def compile_model(model: keras.Model, plan: StageConfig, steps: int) -> None:
    """Give a model the stage's loss and optimizer; ``steps`` is the number of batches of an epoch."""
    accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")
    learnt: dict[str, Any] = {"loss": plan.loss.loss(), "weighted_metrics": [accuracy]}
    if isinstance(model.output, dict) and plan.healthy is not None:
        learnt = {
            "loss": {"logits": learnt["loss"], "positions": PositionLoss(plan.healthy)},
            "loss_weights": {"logits": 1.0, "positions": plan.position_weight},
            "weighted_metrics": {"logits": [accuracy]},
        }
    model.compile(
        **learnt,
        optimizer=_optimizer(plan, steps),
        metrics=[],
        # TensorFlow's compiler needs minutes for what a laptop's processor then runs no faster.
        jit_compile=False if keras.config.backend() == "tensorflow" else "auto",
    )


def _optimizer(plan: StageConfig, steps: int) -> keras.optimizers.Optimizer:
    total = max(1, plan.epochs * steps)
    warm = min(total - 1, math.ceil(plan.warmup_epochs * steps))
    rate: float | keras.optimizers.schedules.LearningRateSchedule = plan.lr
    if plan.cosine:
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=plan.lr / 100 if warm else plan.lr,
            decay_steps=total - warm,
            alpha=0.01,
            warmup_target=plan.lr if warm else None,
            warmup_steps=warm,
        )
    averaging = {"use_ema": plan.ema_momentum is not None, "ema_momentum": plan.ema_momentum or 0.99}
    if plan.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(rate, weight_decay=plan.weight_decay, **averaging)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        return optimizer
    if plan.optimizer == "adam":
        return keras.optimizers.Adam(rate, **averaging)
    return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, **averaging)


@dataclass(frozen=True, slots=True)
class StageContext:
    """Where a stage stands among the others.

    Attributes:
        fingerprint: Digest of everything the result depends on.
        path: The stage's checkpoint file.
        earlier: What happened in the stages before.
        progress: Who hears how far it is.
    """

    fingerprint: str
    path: Path
    earlier: tuple[Epoch, ...]
    progress: Progress


def run_stage(
    model: keras.Model, feed: BatchSequence, examine: ValidationScorer, plan: StageConfig, course: StageContext
) -> tuple[Epoch, ...]:
    """Train a model through one stage and leave it with the weights that validated best.

    An interrupted stage goes on from its last finished epoch; the result is the same as without the interruption.

    Args:
        model: Takes the feed's inputs to logits; what it may change is already set.
        feed: The training batches.
        examine: Judges the model on the validation scans.
        plan: How to train.
        course: Where the stage stands among the others.

    Returns:
        All epochs so far, those of earlier stages included.
    """
    compile_model(model, plan, len(feed))
    model.optimizer.build(model.trainable_variables)
    # The weights a stage starts from are the best so far: it must beat them, or give them back.
    start = min((epoch.validation_score for epoch in course.earlier), default=math.inf)
    fresh = TrainingState(course.fingerprint, list(course.earlier), start, model.get_weights())
    standing = checkpoint.restore(course.path, model, course.fingerprint) or fresh
    done = len(standing.epochs) - len(course.earlier)
    while done < plan.epochs and not _over(standing, plan, len(course.earlier)):
        started = time.monotonic()
        loss, accuracy = _one_epoch(model, feed, done, plan, course.progress)
        _judge(model, examine, plan, standing, (loss, accuracy))
        standing.seconds += time.monotonic() - started
        checkpoint.save(course.path, model, standing)
        done += 1
    course.progress(f"training the {plan.name}", plan.epochs * len(feed), plan.epochs * len(feed))
    model.set_weights(standing.weights)
    return tuple(standing.epochs)


def _over(standing: TrainingState, plan: StageConfig, earlier: int) -> bool:
    if plan.minutes is not None and standing.seconds > plan.minutes * 60:
        return True
    mine = standing.epochs[earlier:]
    if plan.patience is None or not mine:
        return False
    scores = [epoch.validation_score for epoch in mine]
    return len(scores) - 1 - scores.index(min(scores)) >= plan.patience


def _one_epoch(
    model: keras.Model, feed: BatchSequence, number: int, plan: StageConfig, progress: Progress
) -> tuple[float, float]:
    feed.set_epoch(number)
    steps = []
    for step in range(len(feed)):
        inputs, targets, weights = feed[step]
        model.reset_metrics()
        logs = model.train_on_batch(inputs, targets, sample_weight=weights, return_dict=True)
        accuracy = logs["logits_accuracy"] if isinstance(targets, dict) else logs["accuracy"]
        steps.append((float(logs["loss"]), float(accuracy)))
        progress(f"training the {plan.name}", number * len(feed) + step + 1, plan.epochs * len(feed))
    loss, accuracy = np.mean(steps, axis=0)
    return float(loss), float(accuracy)


def _judge(
    model: keras.Model,
    examine: ValidationScorer,
    plan: StageConfig,
    standing: TrainingState,
    trained: tuple[float, float],
) -> None:
    current = model.get_weights()
    if plan.ema_momentum is not None:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    score, loss, accuracy = examine()
    if score < standing.best:
        standing.best, standing.weights = score, model.get_weights()
    if plan.ema_momentum is not None:
        model.set_weights(current)
    rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
    number = len(standing.epochs) + 1
    standing.epochs.append(Epoch(number, plan.name, rate, *trained, loss, accuracy, score))
