"""Fine-tuning in a minute: batches of another site and of the source, half and half, above the cut."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import keras
import numpy as np
from jaxtyping import Float, Float16, Float32, Int

from brainslice.arrays import Decisions
from brainslice.config import AdaptConfig
from brainslice.errors import UsageError
from brainslice.models.adaptation_loss import AdaptationLoss
from brainslice.training.checkpoint import save_arrays

Inputs: TypeAlias = Float16[np.ndarray, "_ ..."] | Float32[np.ndarray, "_ ..."]
"""What a model above the cut takes of each scan: activations, or pooled features."""

Targets: TypeAlias = Float32[np.ndarray, "_ 3 k"]
"""What ``AdaptationLoss`` is told of each scan."""

Rows: TypeAlias = Int[np.ndarray, " _"]
Trajectory: TypeAlias = Float[np.ndarray, "checks _ k"]

_SCORING_BATCH = 64
_WARMUP_STEPS = 5


@dataclass(frozen=True, slots=True, eq=False)
class FineTuningData:
    """What is learnt from, and what is looked at.

    Attributes:
        site: The site's scans: as they are, then their random views, each ``(n, ...)``.
        site_targets: What is told of each scan in each view.
        tumours: Whether each scan is a tumour ``(n,)``.
        replay: Source scans that are shown again ``(r, ...)``.
        replay_targets: What is told of those.
        check: Source scans on which forgetting is watched ``(c, ...)``; they train nothing.
    """

    site: tuple[Inputs, ...]
    site_targets: tuple[Targets, ...]
    tumours: Decisions
    replay: Inputs
    replay_targets: Targets
    check: Inputs


@dataclass(frozen=True, slots=True, eq=False)
class CheckpointScores:
    """What a fine-tuning said at each look.

    Attributes:
        site: Logits of the site's scans that were to be watched ``(checks, m, k)``.
        check: Logits of the source scans that were to be watched ``(checks, c, k)``.
    """

    site: Trajectory
    check: Trajectory


class FineTuner:
    """A model above the cut that can be fine-tuned again and again, each time from where it was first."""

    def __init__(self, model: keras.Model, material: FineTuningData, settings: AdaptConfig, seed: int) -> None:
        """Take a model whose layers are set to learn or to stay, and compile it once."""
        self._model, self._material, self._settings, self._seed = model, material, settings, seed
        model.compile(
            optimizer=keras.optimizers.Adam(settings.lr),
            loss=AdaptationLoss(settings.distillation, settings.distillation_temperature),
            jit_compile=False if keras.config.backend() == "tensorflow" else "auto",
        )
        model.optimizer.build(model.trainable_variables)
        self._start = [np.array(keras.ops.convert_to_numpy(variable)) for variable in self._variables]

    def reset(self) -> None:
        """Go back to where the model was first, its optimizer and random draws included."""
        for variable, value in zip(self._variables, self._start, strict=True):
            variable.assign(value)

    def fit(self, rows: Rows, rate: float) -> Iterator[int]:
        """Fine-tune from the start on some of the site's scans, and pause at each look.

        Args:
            rows: The scans that train.
            rate: The learning rate, after a short warm-up.

        Yields:
            The number of the look, from 0.
        """
        self.reset()
        steps, checks = self._settings.steps, min(self._settings.checks, self._settings.steps)
        looks = [round(steps * (number + 1) / checks) for number in range(checks)]
        for step in range(1, steps + 1):
            self._model.optimizer.learning_rate.assign(rate * min(1.0, step / _WARMUP_STEPS))
            self._model.train_on_batch(*self._batch(rows, step))
            if step in looks:
                yield looks.index(step)

    def evaluate(self, rows: Rows, rate: float, watched: Rows) -> CheckpointScores:
        """Fine-tune on some of the site's scans and write down what is said of others at each look."""
        site, check = [], []
        for _ in self.fit(rows, rate):
            site.append(self.logits(self._material.site[0][watched]))
            check.append(self.logits(self._material.check))
        return CheckpointScores(np.stack(site), np.stack(check))

    def logits(self, inputs: Inputs) -> Float32[np.ndarray, "n k"]:
        """Score scans with the model as it stands."""
        return run_model(self._model, inputs)

    @property
    def _variables(self) -> list[keras.Variable]:
        return [*self._model.variables, *self._model.optimizer.variables]

    def _batch(self, rows: Rows, step: int) -> tuple[Float32[np.ndarray, "b ..."], Float32[np.ndarray, "b 3 k"]]:
        """Draw tumours and healthy scans of the site alike, in any view, and as many source scans."""
        material, generator = self._material, np.random.default_rng([self._seed, step])
        half = self._settings.batch_size // 2
        kinds = [kind for kind in (rows[material.tumours[rows]], rows[~material.tumours[rows]]) if len(kind)]
        chosen = np.concatenate([generator.choice(kind, half // len(kinds)) for kind in kinds])
        views = generator.integers(len(material.site), size=len(chosen))
        shown = generator.integers(len(material.replay), size=half)
        inputs = [material.site[view][row] for view, row in zip(views, chosen, strict=True)]
        targets = [material.site_targets[view][row] for view, row in zip(views, chosen, strict=True)]
        return (
            np.concatenate([np.stack(inputs), material.replay[shown]]).astype(np.float32),
            np.concatenate([np.stack(targets), material.replay_targets[shown]]),
        )


@dataclass(frozen=True, slots=True)
class FineTuningHistory:
    """Keeps what finished fine-tunings said, so that interrupted work goes on where it stopped.

    Attributes:
        folder: Where it is kept.
        fingerprint: Digest of everything but the scans that train and the learning rate.
    """

    folder: Path
    fingerprint: str

    def evaluate(self, pupil: FineTuner, rows: Rows, rate: float, watched: Rows) -> CheckpointScores:
        """Fine-tune as ``FineTuner.evaluate`` does, or find that this has been done.

        Raises:
            UsageError: What was kept is damaged.
            ResourceError: The disk is full.
        """
        parts = [self.fingerprint, rate, rows.tolist(), watched.tolist()]
        path = self.folder / f"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]}.npz"
        if path.is_file():
            return _read(path)
        found = pupil.evaluate(rows, rate, watched)
        save_arrays(path, {}, {"site": found.site, "check": found.check})
        return found


def run_model(model: keras.Model, inputs: Inputs) -> Float32[np.ndarray, "n _"]:
    """Run a model with one output over scans, a few at a time."""
    parts = [
        np.asarray(model.predict_on_batch(inputs[start : start + _SCORING_BATCH].astype(np.float32)))
        for start in range(0, len(inputs), _SCORING_BATCH)
    ]
    return np.concatenate(parts)


def _read(path: Path) -> CheckpointScores:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return CheckpointScores(arrays["site"], arrays["check"])
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        msg = f"{path}: what this fine-tuning came to is damaged; delete it to do it again"
        raise UsageError(msg) from error
