"""Fine-tune the part above the cut on batches of the site's and the source's scans, half of each."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import keras
import numpy as np

from brainslice.array_types import Float, Float16, Float32
from brainslice.arrays import Decisions, Labels, Logits
from brainslice.config import AdaptConfig
from brainslice.errors import UsageError
from brainslice.metrics import confusion, macro_f1
from brainslice.models import (
    HEAD,
    AdaptationLoss,
    adaptation_targets,
    one_hot,
    pooled_features,
    set_trainable,
    tumour_or_healthy,
)
from brainslice.progress import Progress
from brainslice.training.adaptation.data import AdaptationData
from brainslice.training.adaptation.nested_cv import (
    Folds,
    OutOfFold,
    Rows,
    SelectionCriteria,
    Setting,
    SettingScores,
    SiteLabels,
    nested_cross_validation,
)
from brainslice.training.checkpoint import save_arrays

Inputs: TypeAlias = Float16[np.ndarray, "_ ..."] | Float32[np.ndarray, "_ ..."]
"""Inputs of a model above the cut: activations, or pooled features."""

Targets: TypeAlias = Float32[np.ndarray, "_ 3 k"]
"""Targets of ``AdaptationLoss``."""

Trajectory: TypeAlias = Float[np.ndarray, "checks _ k"]

_SCORING_BATCH = 64
_WARMUP_STEPS = 5
_LOWER_RATE = 0.25
"""The lower learning rate of the search, as a share of the higher one."""


@dataclass(frozen=True, slots=True, eq=False)
class FineTuningData:
    """Inputs and targets of fine-tuning.

    Attributes:
        site: The site's scans: as they are, then their random views, each ``(n, ...)``.
        site_targets: Targets of each scan in each view.
        tumours: Whether each scan is a tumour ``(n,)``.
        replay: Source scans that are trained on again ``(r, ...)``.
        replay_targets: Their targets.
        check: Source scans that forgetting is measured on ``(c, ...)``; they train nothing.
    """

    site: tuple[Inputs, ...]
    site_targets: tuple[Targets, ...]
    tumours: Decisions
    replay: Inputs
    replay_targets: Targets
    check: Inputs


@dataclass(frozen=True, slots=True, eq=False)
class CheckpointScores:
    """Logits at each checkpoint of a fine-tuning.

    Attributes:
        site: Of the site's scans that did not train ``(checks, m, k)``.
        check: Of the source scans that forgetting is measured on ``(checks, c, k)``.
    """

    site: Trajectory
    check: Trajectory


class FineTuner:
    """A model above the cut that is fine-tuned repeatedly, each time from its first weights."""

    def __init__(self, model: keras.Model, data: FineTuningData, settings: AdaptConfig, seed: int) -> None:
        """Compile a model whose layers are set trainable or frozen."""
        self._model, self._data, self._settings, self._seed = model, data, settings, seed
        model.compile(
            optimizer=keras.optimizers.Adam(settings.lr),
            loss=AdaptationLoss(settings.distillation, settings.distillation_temperature),
            jit_compile=False if keras.config.backend() == "tensorflow" else "auto",
        )
        model.optimizer.build(model.trainable_variables)
        self._start = [np.array(keras.ops.convert_to_numpy(variable)) for variable in self._variables]

    def reset(self) -> None:
        """Restore the first state of the model, its optimizer and its random generators."""
        for variable, value in zip(self._variables, self._start, strict=True):
            variable.assign(value)

    def fit(self, rows: Rows, rate: float) -> Iterator[int]:
        """Fine-tune from the start on some of the site's scans, with a short warm-up of the learning rate.

        Yields:
            The number of each checkpoint, from 0.
        """
        self.reset()
        steps, checks = self._settings.steps, min(self._settings.checks, self._settings.steps)
        checkpoints = [round(steps * (number + 1) / checks) for number in range(checks)]
        for step in range(1, steps + 1):
            self._model.optimizer.learning_rate.assign(rate * min(1.0, step / _WARMUP_STEPS))
            self._model.train_on_batch(*self._batch(rows, step))
            if step in checkpoints:
                yield checkpoints.index(step)

    def evaluate(self, rows: Rows, rate: float, watched: Rows) -> CheckpointScores:
        """Fine-tune on some of the site's scans, and score others at each checkpoint."""
        parts = self._data.site[0][watched], self._data.check
        scores = [[self.logits(part) for part in parts] for _ in self.fit(rows, rate)]
        return CheckpointScores(*(np.stack(each) for each in zip(*scores, strict=True)))

    def logits(self, inputs: Inputs) -> Float32[np.ndarray, "n k"]:
        """Score scans with the current weights."""
        return run_model(self._model, inputs)

    @property
    def _variables(self) -> list[keras.Variable]:
        return [*self._model.variables, *self._model.optimizer.variables]

    def _batch(self, rows: Rows, step: int) -> tuple[Float32[np.ndarray, "b ..."], Float32[np.ndarray, "b 3 k"]]:
        """Draw as many tumours as healthy scans of the site, in random views, and as many source scans."""
        data, generator = self._data, np.random.default_rng([self._seed, step])
        half = self._settings.batch_size // 2
        kinds = [kind for kind in (rows[data.tumours[rows]], rows[~data.tumours[rows]]) if len(kind)]
        chosen = np.concatenate([generator.choice(kind, half // len(kinds)) for kind in kinds])
        views = generator.integers(len(data.site), size=len(chosen))
        replayed = generator.integers(len(data.replay), size=half)
        inputs = [data.site[view][row] for view, row in zip(views, chosen, strict=True)]
        targets = [data.site_targets[view][row] for view, row in zip(views, chosen, strict=True)]
        return (
            np.concatenate([np.stack(inputs), data.replay[replayed]]).astype(np.float32),
            np.concatenate([np.stack(targets), data.replay_targets[replayed]]),
        )


@dataclass(frozen=True, slots=True)
class FineTuningHistory:
    """Stored results of fine-tunings, so that an interrupted adaptation resumes.

    Attributes:
        folder: Where they are stored.
        fingerprint: Digest of everything but the training scans and the learning rate.
    """

    folder: Path
    fingerprint: str

    def evaluate(self, fine_tuner: FineTuner, rows: Rows, rate: float, watched: Rows) -> CheckpointScores:
        """Call ``FineTuner.evaluate``, or read its stored result.

        Raises:
            UsageError: The stored result is damaged.
            ResourceError: The disk is full.
        """
        parts = [self.fingerprint, rate, rows.tolist(), watched.tolist()]
        path = self.folder / f"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]}.npz"
        if path.is_file():
            try:
                with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                    return CheckpointScores(arrays["site"], arrays["check"])
            except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
                msg = f"{path}: the stored fine-tuning is damaged; delete it to do it again"
                raise UsageError(msg) from error
        scores = fine_tuner.evaluate(rows, rate, watched)
        save_arrays(path, {}, {"site": scores.site, "check": scores.check})
        return scores


@dataclass(frozen=True, slots=True, eq=False)
class FineTuning:
    """Fine-tuning of one part of the network, with a search over learning rates and checkpoints.

    Attributes:
        name: ``head``, or ``tail`` for the last blocks and the head.
        fine_tuner: The model.
        history: Stores finished fine-tunings.
        settings: How to train.
        check_labels: Classes of the source scans that forgetting is measured on.
        progress: Called with the step and how far it is.
    """

    name: str
    fine_tuner: FineTuner
    history: FineTuningHistory
    settings: AdaptConfig
    check_labels: Labels
    progress: Progress

    def at_rate(self, rows: Rows, watched: Rows, rate: float) -> Mapping[Setting, SettingScores]:
        """Fine-tune on some scans at one rate, and score others at each checkpoint."""
        scores = self.history.evaluate(self.fine_tuner, rows, rate, watched)
        return {
            Setting(rate, number): SettingScores(site.astype(np.float64), source_macro_f1(check, self.check_labels))
            for number, (site, check) in enumerate(zip(scores.site, scores.check, strict=True))
        }

    def out_of_fold(self, folds: Folds, labels: SiteLabels, criteria: SelectionCriteria) -> OutOfFold:
        """Predict out of fold by nested cross-validation, which chooses rate and checkpoint."""
        count = int(folds.max()) + 1
        total, done = count * (count - 1) // 2 + count, 0

        def score(rows: Rows, watched: Rows, only: Setting | None) -> Mapping[Setting, SettingScores]:
            nonlocal done
            scores: dict[Setting, SettingScores] = {}
            for rate in (self.settings.lr, self.settings.lr * _LOWER_RATE) if only is None else (only.rate,):
                scores |= self.at_rate(rows, watched, rate)
            done += 1
            self.progress(f"fine-tuning the {self.name}", done, total)
            return scores

        return nested_cross_validation(score, folds, labels, criteria)


def make_fine_tuning(
    name: str, data: AdaptationData, history: FineTuningHistory, config: AdaptConfig, seed: int, progress: Progress
) -> FineTuning:
    """Prepare the fine-tuning of the ``head`` or the ``tail``."""
    model, features = trainable_part_of(data), None
    if name == "head" and data.network.config.head != "pyramid":
        model, features = _linear_head(data)
    set_trainable(data.network, "head" if name == "head" else "tail")
    tuner = FineTuner(model, _fine_tuning_data(data, model, features), config, seed)
    history = FineTuningHistory(history.folder / name, f"{history.fingerprint} {name}")
    return FineTuning(name, tuner, history, config, data.held_out_labels[data.check], progress)


def _linear_head(data: AdaptationData) -> tuple[keras.Model, Callable[[Inputs], Inputs]]:
    pooled = pooled_features(data.network)
    features = keras.Input(pooled.output.shape[1:])
    dropped = keras.layers.Dropout(data.network.config.dropout, seed=data.network.config.seed)(features)
    head = data.network.model.get_layer(HEAD)
    return keras.Model(features, head(dropped), name="head"), lambda inputs: run_model(pooled, inputs)


def _fine_tuning_data(
    data: AdaptationData, model: keras.Model, features: Callable[[Inputs], Inputs] | None
) -> FineTuningData:
    """Make targets from the site's labels, the source's classes, and the model's logits before fine-tuning."""
    labels, healthy = data.bundle.labels, data.bundle.labels.healthy_index
    classes, tumours = len(labels), data.site.tumours
    allowed = tumour_or_healthy(tumours, healthy, classes)
    types = tumour_or_healthy(np.ones(len(tumours), dtype=np.bool_), healthy, classes)
    if not data.site.binary:
        allowed = one_hot(np.array([labels.index(scan.label) for scan in data.site.scans]), classes)
    arrays = (*data.views, data.replay, data.held_out[data.check])
    *views, replay, check = arrays if features is None else map(features, arrays)
    all_classes = np.ones((len(replay), classes), dtype=np.float32)
    return FineTuningData(
        site=tuple(views),
        # The first logits of the site's tumours are kept among the tumour classes only, those of healthy scans not.
        site_targets=tuple(
            adaptation_targets(allowed, run_model(model, view), types * tumours[:, None].astype(np.float32))
            for view in views
        ),
        tumours=tumours,
        replay=replay,
        replay_targets=adaptation_targets(one_hot(data.replay_labels, classes), run_model(model, replay), all_classes),
        check=check,
    )


def trainable_part_of(data: AdaptationData) -> keras.Model:
    """Return the part of the network above the cut, with logits as its only output."""
    tail = data.network.trainable_part
    return keras.Model(tail.inputs[0], tail.output["logits"], name="tail_logits")


def source_macro_f1(logits: Logits, labels: Labels) -> float:
    """Compute macro F1 over the source's classes."""
    return macro_f1(confusion(labels, np.asarray(logits.argmax(axis=1)), logits.shape[1]))


def run_model(model: keras.Model, inputs: Inputs) -> Float32[np.ndarray, "n _"]:
    """Run a model with one output over scans, in batches."""
    parts = [
        np.asarray(model.predict_on_batch(inputs[start : start + _SCORING_BATCH].astype(np.float32)))
        for start in range(0, len(inputs), _SCORING_BATCH)
    ]
    return np.concatenate(parts)
