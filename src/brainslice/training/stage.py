"""One stage of training: epochs with validation, of which the best weights are kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import keras
import numpy as np

from brainslice.arrays import Labels, Logits
from brainslice.config import TrainConfig
from brainslice.decision import Temperature, fit_temperature
from brainslice.errors import CalibrationError
from brainslice.metrics import confusion, macro_f1, negative_log_likelihood
from brainslice.models import LossConfig, PositionLoss
from brainslice.progress import Progress
from brainslice.training import checkpoint
from brainslice.training.batches import BatchSequence
from brainslice.training.checkpoint import TrainingState
from brainslice.training.history import EachEpoch, Epoch, ignore_epochs

Score: TypeAlias = Callable[[], Logits]


@dataclass(frozen=True, slots=True)
class StageConfig:
    """Settings of one stage.

    Attributes:
        name: What is trained: ``head``, ``tail`` or ``all``.
        epochs: Number of epochs.
        lr: The highest learning rate; with ``cosine_decay`` it falls to a hundredth.
        train: Settings of optimizer, loss, averaging and early stopping.
        minutes: Start no epoch after this long; None sets no limit.
        healthy: Index of the healthy class for ``PositionLoss``; None without position-wise supervision.
    """

    name: str
    epochs: int
    lr: float
    train: TrainConfig
    minutes: float | None = None
    healthy: int | None = None

    @property
    def ema_momentum(self) -> float | None:
        """Momentum of the moving average of the weights; None without one."""
        return self.train.ema_momentum if self.train.ema else None

    @property
    def patience(self) -> int | None:
        """Number of epochs without improvement after which to stop; None never stops early."""
        return self.train.early_stopping_patience if self.train.early_stopping else None


class ValidationScores(NamedTuple):
    """Scores of a model on validation scans, in the order of ``Epoch``.

    Attributes:
        loss: The negative log-likelihood at temperature 1, in nats.
        accuracy: The accuracy.
        score: The negative log-likelihood at its best temperature, since temperature is fitted afterwards anyway.
        macro_f1: The macro F1 score.
    """

    loss: float
    accuracy: float
    score: float
    macro_f1: float


@dataclass(frozen=True, slots=True, eq=False)
class ValidationScorer:
    """Score a model on validation scans, which do not train it.

    Attributes:
        score: Returns the logits ``(n, k)`` of the validation scans with the current weights.
        labels: Their classes ``(n,)``.
    """

    score: Score
    labels: Labels

    def __call__(self) -> ValidationScores:
        """Score the current weights."""
        logits = self.score()
        plain = negative_log_likelihood(Temperature(1.0).probabilities(logits), self.labels)
        try:
            best = negative_log_likelihood(fit_temperature(logits, self.labels).probabilities(logits), self.labels)
        except CalibrationError:
            best = plain
        classes = logits.argmax(axis=1)
        matrix = confusion(self.labels, classes, logits.shape[1])
        return ValidationScores(plain, float((classes == self.labels).mean()), best, macro_f1(matrix))


def compile_model(model: keras.Model, config: StageConfig, steps: int) -> None:
    """Compile a model with the stage's loss and optimizer; ``steps`` is the number of batches of an epoch."""
    train, accuracy = config.train, keras.metrics.CategoricalAccuracy(name="accuracy")
    loss = LossConfig(train.loss, train.label_smoothing, train.focal_gamma, train.recall_weights).loss()
    losses: dict[str, Any] = {"loss": loss, "weighted_metrics": [accuracy]}
    if isinstance(model.output, dict) and config.healthy is not None:
        losses = {
            "loss": {"logits": loss, "positions": PositionLoss(config.healthy)},
            "loss_weights": {"logits": 1.0, "positions": train.lesion.weight},
            "weighted_metrics": {"logits": [accuracy]},
        }
    model.compile(
        **losses,
        optimizer=_optimizer(config, steps),
        metrics=[],
        # Compilation by TensorFlow takes minutes, and the compiled model is no faster on a laptop's processor.
        jit_compile=False if keras.config.backend() == "tensorflow" else "auto",
    )


def _optimizer(config: StageConfig, steps: int) -> keras.optimizers.Optimizer:
    total = max(1, config.epochs * steps)
    warmup = min(total - 1, math.ceil(config.train.warmup_epochs * steps))
    rate: float | keras.optimizers.schedules.LearningRateSchedule = config.lr
    if config.train.cosine_decay:
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=config.lr / 100 if warmup else config.lr,
            decay_steps=total - warmup,
            alpha=0.01,
            warmup_target=config.lr if warmup else None,
            warmup_steps=warmup,
        )
    averaging = {"use_ema": config.ema_momentum is not None, "ema_momentum": config.ema_momentum or 0.99}
    if config.train.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(rate, weight_decay=config.train.weight_decay, **averaging)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        return optimizer
    if config.train.optimizer == "adam":
        return keras.optimizers.Adam(rate, **averaging)
    return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, **averaging)


@dataclass(frozen=True, slots=True)
class StageContext:
    """Checkpoint file and history of a stage.

    Attributes:
        fingerprint: Digest of everything the result depends on.
        path: The stage's checkpoint file.
        earlier: Epochs of the earlier stages.
        progress: Called with the step and how far it is.
        each_epoch: Called after each epoch, once it is saved, with all epochs so far.
    """

    fingerprint: str
    path: Path
    earlier: tuple[Epoch, ...]
    progress: Progress
    each_epoch: EachEpoch = ignore_epochs


def run_stage(
    model: keras.Model, batches: BatchSequence, scorer: ValidationScorer, config: StageConfig, context: StageContext
) -> tuple[Epoch, ...]:
    """Train a model for one stage, and restore the weights with the best validation score.

    An interrupted stage resumes after its last finished epoch, with the same result.

    Returns:
        All epochs so far, those of earlier stages included.
    """
    compile_model(model, config, len(batches))
    model.optimizer.build(model.trainable_variables)
    # Where no epoch improves on the earlier stages, the first weights are restored.
    start = min((epoch.validation_score for epoch in context.earlier), default=math.inf)
    fresh = TrainingState(context.fingerprint, list(context.earlier), start, model.get_weights())
    state = checkpoint.restore(context.path, model, context.fingerprint) or fresh
    done = len(state.epochs) - len(context.earlier)
    while done < config.epochs and not _finished(state, config, len(context.earlier)):
        started = time.monotonic()
        loss, accuracy = _train_epoch(model, batches, done, config, context.progress)
        _validate(model, scorer, config, state, (loss, accuracy))
        state.seconds += time.monotonic() - started
        checkpoint.save(context.path, model, state)
        context.each_epoch(tuple(state.epochs))
        done += 1
    context.progress(f"training the {config.name}", config.epochs * len(batches), config.epochs * len(batches))
    model.set_weights(state.weights)
    return tuple(state.epochs)


def _finished(state: TrainingState, config: StageConfig, earlier: int) -> bool:
    if config.minutes is not None and state.seconds > config.minutes * 60:
        return True
    epochs = state.epochs[earlier:]
    if config.patience is None or not epochs:
        return False
    scores = [epoch.validation_score for epoch in epochs]
    return len(scores) - 1 - scores.index(min(scores)) >= config.patience


def _train_epoch(
    model: keras.Model, batches: BatchSequence, number: int, config: StageConfig, progress: Progress
) -> tuple[float, float]:
    batches.set_epoch(number)
    steps = []
    for step in range(len(batches)):
        inputs, targets, weights = batches[step]
        model.reset_metrics()
        logs = model.train_on_batch(inputs, targets, sample_weight=weights, return_dict=True)
        accuracy = logs["logits_accuracy"] if isinstance(targets, dict) else logs["accuracy"]
        steps.append((float(logs["loss"]), float(accuracy)))
        progress(f"training the {config.name}", number * len(batches) + step + 1, config.epochs * len(batches))
    loss, accuracy = np.mean(steps, axis=0)
    return float(loss), float(accuracy)


def _validate(
    model: keras.Model,
    scorer: ValidationScorer,
    config: StageConfig,
    state: TrainingState,
    trained: tuple[float, float],
) -> None:
    current = model.get_weights()
    if config.ema_momentum is not None:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    validation = scorer()
    if validation.score < state.best:
        state.best, state.weights = validation.score, model.get_weights()
    if config.ema_momentum is not None:
        model.set_weights(current)
    rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
    number = len(state.epochs) + 1
    state.epochs.append(Epoch(number, config.name, rate, *trained, *validation))
