"""Every fold tests once: k trainings, k honest test scores, and what they say together (A17)."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brainslice.cohort.manifest import Manifest
from brainslice.config import Config
from brainslice.errors import UsageError
from brainslice.files import write_json
from brainslice.judge.scoring import judge, terms_of
from brainslice.measure.evaluation import Evaluation, Scored, evaluate
from brainslice.places import Places
from brainslice.progress import Progress, silent
from brainslice.train.checkpoint import save_arrays
from brainslice.train.run import train

HEADLINES = ("accuracy", "macro_f1", "balanced_accuracy", "ece", "tumour_auc")
"""The scores that are told fold by fold."""

_ARRAYS = ("labels", "groups", "probabilities", "uncalibrated", "floor")


@dataclass(frozen=True, slots=True, eq=False)
class CrossValidation:
    """All folds, each by itself and together.

    Attributes:
        folds: An evaluation a fold.
        pooled: One evaluation of all scans, each judged by the model that never saw its group.
        openings: How often each fold's test scans have been scored.
        path: Where the numbers were saved.
    """

    folds: tuple[Evaluation, ...]
    pooled: Evaluation
    openings: tuple[int, ...]
    path: Path

    def spread(self, name: str) -> tuple[float, float]:
        """Give a score's mean over the folds and its standard deviation (with ``n - 1``)."""
        values = [value for value in (fold.score(name).value for fold in self.folds) if value is not None]
        return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0

    def to_json(self) -> dict[str, Any]:
        """Write everything in plain types."""
        spreads = {name: self.spread(name) for name in HEADLINES}
        return {
            "mean_and_standard_deviation": {name: {"mean": mean, "sd": sd} for name, (mean, sd) in spreads.items()},
            "test_openings": list(self.openings),
            "folds": [fold.to_json() for fold in self.folds],
            "out_of_fold": self.pooled.to_json(),
        }


@dataclass(frozen=True, slots=True, eq=False)
class _Fold:
    scored: Scored
    temperature: float
    openings: int


def cross_validate(root: Path, config: Config, progress: Progress = silent) -> CrossValidation:
    """Train and test once a fold, by group, and save all of it in ``reports/crossval/``.

    A fold that was finished with the same settings on the same scans is not trained again, so that an interrupted
    cross-validation goes on where it stopped.

    Args:
        root: The project's folder, with a prepared set.
        config: All settings; ``data.folds`` says how many folds.
        progress: Hears how far it is.

    Raises:
        UsageError: The set was prepared with another number of folds.
        DatasetError: There is no prepared set.
        ResourceError: The disk is full; finished folds stay.
    """
    manifest = Manifest.read(Places.of(root, config, "clean").data)
    prepared = 1 + max(record.fold for record in manifest.records)
    if prepared != config.data.folds:
        msg = f"data.folds must be {prepared}, as the set was prepared, got {config.data.folds}; change one of them"
        raise UsageError(msg)
    folds = []
    for number in range(config.data.folds):
        progress("cross-validating folds", number, config.data.folds)
        folds.append(_fold(root, _of_fold(config, number), manifest, progress))
    progress("cross-validating folds", config.data.folds, config.data.folds)
    return _together(root, config, manifest, folds)


def _of_fold(config: Config, number: int) -> Config:
    data = config.data.model_copy(update={"protocol": "clean", "test_fold": number})
    return config.model_copy(update={"data": data})


def _fold(root: Path, config: Config, manifest: Manifest, progress: Progress) -> _Fold:
    number = config.data.test_fold
    kept = root / "reports" / "crossval" / f"fold_{number}.npz"
    fingerprint = _fingerprint(config, manifest)
    finished = _read(kept, fingerprint)
    if finished is not None:
        return finished
    places = Places.of(root, config)
    mine = dataclasses.replace(
        places,
        models=root / "models" / "crossval" / f"fold_{number}",
        reports=kept.with_suffix(""),
        logs=places.logs / "crossval" / f"fold_{number}",
    )
    train(mine, config, progress=progress)
    judged = judge(mine, config, progress)
    fold = _Fold(judged.scored, judged.evaluation.terms.temperature, judged.openings)
    facts = {"fingerprint": fingerprint, "temperature": fold.temperature, "openings": fold.openings}
    save_arrays(kept, facts, {name: getattr(fold.scored, name) for name in _ARRAYS})
    return fold


def _fingerprint(config: Config, manifest: Manifest) -> str:
    settings = config.model_dump(mode="json", exclude={"log", "inference"})
    return hashlib.sha256(json.dumps([settings, manifest.digest], sort_keys=True).encode()).hexdigest()


def _read(path: Path, fingerprint: str) -> _Fold | None:
    if not path.exists():
        return None
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            facts = json.loads(str(arrays["facts"]))
            if facts["fingerprint"] != fingerprint:
                return None
            return _Fold(Scored(**{name: arrays[name] for name in _ARRAYS}), facts["temperature"], facts["openings"])
    except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        msg = f"{path}: what this fold came to is damaged; delete it to train this fold again"
        raise UsageError(msg) from error


def _together(root: Path, config: Config, manifest: Manifest, folds: list[_Fold]) -> CrossValidation:
    terms = terms_of(manifest, _of_fold(config, 0))
    each = tuple(evaluate(fold.scored, dataclasses.replace(terms, temperature=fold.temperature)) for fold in folds)
    all_scans = Scored(**{name: np.concatenate([getattr(fold.scored, name) for fold in folds]) for name in _ARRAYS})
    mean_temperature = float(np.mean([fold.temperature for fold in folds]))
    pooled = evaluate(all_scans, dataclasses.replace(terms, split="out of fold", temperature=mean_temperature))
    path = root / "reports" / "crossval" / "crossval.json"
    result = CrossValidation(each, pooled, tuple(fold.openings for fold in folds), path)
    write_json(path, result.to_json())
    return result
