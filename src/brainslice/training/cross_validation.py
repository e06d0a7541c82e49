"""Every fold tests once: k trainings, k honest test scores, and what they say together (A17)."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brainslice.config import Config
from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.split_assignment import reassign_split
from brainslice.errors import UsageError
from brainslice.evaluation.scoring import evaluate_test_set, evaluation_settings
from brainslice.files import write_json
from brainslice.metrics.abstention import AbstentionInputs
from brainslice.metrics.evaluation import Evaluation, ScoredSet, evaluate
from brainslice.metrics.source_controlled import ScoredTwins, score_twins
from brainslice.paths import ProjectPaths, writes_project
from brainslice.progress import Progress, silent
from brainslice.training.checkpoint import save_arrays
from brainslice.training.fold import FoldRun, plan_fold, train_once

HEADLINES = ("accuracy", "macro_f1", "balanced_accuracy", "ece", "tumour_auc")
"""The scores that are told fold by fold."""

_ARRAYS = ("labels", "groups", "probabilities", "uncalibrated", "baseline")


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
class _Outcome:
    scored: ScoredSet
    caution: AbstentionInputs
    temperature: float
    openings: int
    twins: ScoredTwins | None


@writes_project("cross-validating")
def cross_validate(root: Path, config: Config, progress: Progress = silent) -> CrossValidation:
    """Train and test once a fold, by group, and save all of it in ``reports/crossval/``.

    A fold that was trained with the same settings on the same scans is not trained again, and one that was scored is
    not scored again, so that an interrupted cross-validation goes on where it stopped.

    Args:
        root: The project's folder, with a prepared set.
        config: All settings; where ``data.folds`` is not what the set was prepared with, its groups are dealt anew.
        progress: Hears how far it is.

    Raises:
        DatasetError: There is no prepared set, or it holds fewer groups than folds.
        ResourceError: The disk is full; finished folds stay.
    """
    prepared = Manifest.read(ProjectPaths.of(root, config, "clean").data)
    manifest = reassign_split(prepared, config.data.folds, config.seed)
    outcomes = []
    for number in range(config.data.folds):
        progress("cross-validating folds", number, config.data.folds)
        outcomes.append(_outcome(plan_fold(root, config, manifest, number), progress))
    progress("cross-validating folds", config.data.folds, config.data.folds)
    return _together(root, plan_fold(root, config, manifest, 0), outcomes)


def _outcome(fold: FoldRun, progress: Progress) -> _Outcome:
    kept = fold.paths.reports.with_suffix(".npz")
    scored = _read(kept, fold.fingerprint)
    if scored is not None:
        return scored
    train_once(fold, progress)
    judged = evaluate_test_set(fold.paths, fold.config, progress, division=fold.assignment)
    temperature = judged.evaluation.settings.temperature
    outcome = _Outcome(judged.scored, judged.abstention_inputs, temperature, judged.test_accesses, judged.twins)
    _write(kept, fold.fingerprint, outcome)
    return outcome


def _write(path: Path, fingerprint: str, outcome: _Outcome) -> None:
    caution = outcome.caution
    facts = {"fingerprint": fingerprint, "temperature": outcome.temperature, "openings": outcome.openings}
    arrays = {name: getattr(outcome.scored, name) for name in _ARRAYS}
    arrays |= {"doubts": caution.uncertainty, "reasons": np.array([" ".join(reasons) for reasons in caution.reasons])}
    if caution.prediction_sets is not None:
        facts["coverage"], arrays["sets"] = caution.coverage, caution.prediction_sets
    if outcome.twins is not None:
        arrays |= {f"twins_{name}": value for name, value in outcome.twins.to_arrays().items()}
    save_arrays(path, facts, arrays)


def _read(path: Path, fingerprint: str) -> _Outcome | None:
    if not path.exists():
        return None
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            facts = json.loads(str(arrays["facts"]))
            if facts["fingerprint"] != fingerprint:
                return None
            scored = ScoredSet(**{name: arrays[name] for name in _ARRAYS})
            reasons = tuple(tuple(codes.split()) for codes in arrays["reasons"].tolist())
            sets = arrays.get("sets")
            caution = AbstentionInputs(arrays["doubts"], reasons, sets, facts.get("coverage"))
            pairs = {name.removeprefix("twins_"): arrays[name] for name in arrays if name.startswith("twins_")}
            twins = ScoredTwins(**pairs) if pairs else None
            return _Outcome(scored, caution, facts["temperature"], facts["openings"], twins)
    except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        msg = f"{path}: what this fold came to is damaged; delete it to train this fold again"
        raise UsageError(msg) from error


def _together(root: Path, first: FoldRun, outcomes: list[_Outcome]) -> CrossValidation:
    terms = evaluation_settings(first.assignment.manifest, first.config)
    each = tuple(
        _with_twins(evaluate(one.scored, dataclasses.replace(terms, temperature=one.temperature), one.caution), [one])
        for one in outcomes
    )
    all_scans = ScoredSet(**{name: np.concatenate([getattr(one.scored, name) for one in outcomes]) for name in _ARRAYS})
    mean_temperature = float(np.mean([one.temperature for one in outcomes]))
    shared = dataclasses.replace(terms, split="out of fold", temperature=mean_temperature)
    pooled = evaluate(all_scans, shared, AbstentionInputs.join([one.caution for one in outcomes]))
    pooled = _with_twins(pooled, outcomes)
    path = root / "reports" / "crossval" / "crossval.json"
    result = CrossValidation(each, pooled, tuple(one.openings for one in outcomes), path)
    write_json(path, result.to_json())
    return result


def _with_twins(evaluation: Evaluation, outcomes: list[_Outcome]) -> Evaluation:
    """Add the source-controlled test: pairs of mirror twins, each scored by the model that did not see its patient."""
    found = [one.twins for one in outcomes if one.twins is not None]
    controlled = (score_twins(ScoredTwins.join(found)),) if found else ()
    return dataclasses.replace(evaluation, source_controlled=controlled)
