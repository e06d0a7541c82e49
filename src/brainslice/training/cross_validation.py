"""Train and test one model for each fold, and evaluate all out-of-fold predictions together."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from brainslice.bundle import GRAPH_FILE, ModelBundle, open_bundle
from brainslice.config import Config
from brainslice.dataset import Manifest, SplitAssignment, assign_split, fold_count, reassign_split
from brainslice.engine import run_all
from brainslice.errors import BundleError, UsageError
from brainslice.evaluation import evaluate_test_set, evaluation_settings
from brainslice.files import write_json
from brainslice.metrics import AbstentionInputs, Evaluation, ScoredSet, ScoredTwins, evaluate, score_twins
from brainslice.paths import ProjectPaths, lock_of_caller, writes_project
from brainslice.processes import Call, Send, send_progress, show_progress
from brainslice.progress import Progress, silent
from brainslice.training.checkpoint import save_arrays
from brainslice.training.pipeline import train

HEADLINES = ("accuracy", "macro_f1", "balanced_accuracy", "ece", "tumour_auc")
"""The metrics that are reported by fold."""

_ARRAYS = ("labels", "groups", "probabilities", "uncalibrated", "baseline")
_RECEIPT = "trained.json"


@dataclass(frozen=True, slots=True, eq=False)
class FoldRun:
    """Settings, split and folders of one fold.

    Attributes:
        config: The settings of this fold.
        assignment: The manifest and the split.
        paths: The fold's own folders.
        fingerprint: Digest of everything the training depends on.
        validation_fold: The fold that validates; None for the one after the test fold.
    """

    config: Config
    assignment: SplitAssignment
    paths: ProjectPaths
    fingerprint: str
    validation_fold: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CrossValidation:
    """Metrics of each fold and of all folds together.

    Attributes:
        folds: One evaluation for each fold.
        pooled: One evaluation of all scans, each scored by the model that was not trained on its group.
        test_accesses: How often each fold's test scans have been scored.
        path: The JSON file of the results.
    """

    folds: tuple[Evaluation, ...]
    pooled: Evaluation
    test_accesses: tuple[int, ...]
    path: Path

    def spread(self, name: str) -> tuple[float, float] | None:
        """Compute a metric's mean over the folds and its standard deviation (with ``n - 1``); None where undefined."""
        values = [value for value in (fold.score(name).value for fold in self.folds) if value is not None]
        if not values:
            return None
        return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the results as JSON types."""
        spreads = {name: self.spread(name) or (None, None) for name in HEADLINES}
        return {
            "mean_and_standard_deviation": {name: {"mean": mean, "sd": sd} for name, (mean, sd) in spreads.items()},
            "test_openings": list(self.test_accesses),
            "folds": [fold.to_json() for fold in self.folds],
            "out_of_fold": self.pooled.to_json(),
        }


@dataclass(frozen=True, slots=True, eq=False)
class _FoldResult:
    scored: ScoredSet
    abstention: AbstentionInputs
    temperature: float
    test_accesses: int
    twins: ScoredTwins | None


@writes_project("cross-validating")
def cross_validate(
    root: Path, config: Config, progress: Progress = silent, *, workers: int = 0, engine: str = "local"
) -> CrossValidation:
    """Train and test once for each fold, by group, and write ``reports/crossval/``.

    Folds that were trained or scored with the same settings on the same scans are reused: an interrupted run resumes.

    Args:
        root: The project's folder, with a prepared set.
        config: All settings; where ``data.folds`` differs from the prepared set, its groups are assigned anew.
        progress: Called with the step and how far it is.
        workers: How many folds train at a time, each in a process of its own; 0 trains in this process.
        engine: Where these processes run, one of ``engine.ENGINES``.

    Raises:
        UsageError: There is no such engine.
        DatasetError: There is no prepared set, or it has fewer groups than folds.
        ResourceError: The disk is full, or a process was killed; finished folds and epochs are kept.
    """
    prepared = Manifest.read(ProjectPaths.of(root, config, "clean").data)
    manifest = reassign_split(prepared, config.data.folds, config.seed)
    folds = [plan_fold(root, config, manifest, number) for number in range(config.data.folds)]
    not_scored = [fold for fold in folds if _read(_scores(fold), fold.fingerprint) is None]
    train_in_processes(not_scored, workers, progress, engine)
    results = []
    for number, fold in enumerate(folds):
        progress("cross-validating folds", number, len(folds))
        results.append(_run_fold(fold, progress))
    progress("cross-validating folds", len(folds), len(folds))
    return _summarise(root, folds[0], results)


def plan_fold(
    root: Path, config: Config, manifest: Manifest, test_fold: int, validation_fold: int | None = None
) -> FoldRun:
    """Return settings, split and folders of a training; by default the fold after the test fold validates.

    Raises:
        UsageError: There is no such fold.
        DatasetError: A part would be empty, or a class would be missing from training.
    """
    folds = fold_count(manifest)
    data = config.data.model_copy(update={"protocol": "clean", "test_fold": test_fold, "folds": folds})
    config = config.model_copy(update={"data": data})
    assignment = assign_split(manifest, config, validation_fold)
    default = validation_fold in {None, (test_fold + 1) % folds}
    name = f"fold_{test_fold}" if default else f"fold_{test_fold}_chosen_on_{validation_fold}"
    paths = ProjectPaths.of(root, config)
    fold_paths = dataclasses.replace(
        paths,
        models=root / "models" / "crossval" / name,
        reports=root / "reports" / "crossval" / name,
        logs=paths.logs / "crossval" / name,
    )
    return FoldRun(config, assignment, fold_paths, _fingerprint(config, assignment), validation_fold)


def train_once(fold: FoldRun, progress: Progress) -> ModelBundle:
    """Train a fold, or open the bundle of the same training.

    Raises:
        LeakError: The first weights were trained on test scans.
        ResourceError: The disk is full; finished epochs are kept.
    """
    finished = _finished(fold)
    if finished is not None:
        return finished
    train(fold.paths, fold.config, assignment=fold.assignment, progress=progress)
    bundle = open_bundle(fold.paths.bundle)
    receipt = _Receipt(fingerprint=fold.fingerprint, graph=bundle.info.files[GRAPH_FILE])
    write_json(fold.paths.models / _RECEIPT, receipt.model_dump(), "training-receipt")
    return bundle


def train_in_processes(folds: Sequence[FoldRun], workers: int, progress: Progress, engine: str = "local") -> None:
    """Train folds that are not trained yet, each in a process of its own, ``workers`` at a time; no worker trains none.

    Raises:
        WorkerDiedError: A process was killed twice; the others were finished, and its finished epochs are kept.
        ResourceError: The disk is full; finished epochs are kept.
    """

    def call(fold: FoldRun) -> Call:
        numbers = [fold.config.data.test_fold, fold.validation_fold]
        arguments = {"root": str(fold.paths.root), "config": fold.config.model_dump(mode="json"), "folds": numbers}
        return Call(f"{__name__}:train_fold", arguments, fold.paths.models.name.replace("_", " "))

    calls = [call(fold) for fold in folds if _finished(fold) is None] if workers else []
    run_all(calls, workers, partial(show_progress, progress), engine)


def train_fold(arguments: Mapping[str, Any], send: Send) -> None:
    """Train one fold in a process that ``train_in_processes`` started."""
    root, config = Path(arguments["root"]), Config.model_validate(arguments["config"])
    test_fold, validation_fold = arguments["folds"]
    with lock_of_caller(root):
        manifest = reassign_split(Manifest.read(root / config.data.root), config.data.folds, config.seed)
        train_once(plan_fold(root, config, manifest, test_fold, validation_fold), send_progress(send))


class _Receipt(BaseModel):
    """Fingerprint of a training and digest of its graph; other fields of the bundle may change later."""

    model_config = ConfigDict(frozen=True)

    fingerprint: str
    graph: str


def _finished(fold: FoldRun) -> ModelBundle | None:
    try:
        receipt = _Receipt.model_validate_json((fold.paths.models / _RECEIPT).read_bytes())
        bundle = open_bundle(fold.paths.bundle)
    except (OSError, ValidationError, BundleError):
        # Missing or damaged files are replaced by training again.
        return None
    same = receipt.fingerprint == fold.fingerprint and receipt.graph == bundle.info.files[GRAPH_FILE]
    return bundle if same else None


def _fingerprint(config: Config, assignment: SplitAssignment) -> str:
    # Paths, and settings of later steps, do not affect the training.
    settings = config.model_dump(mode="json", exclude={"log", "inference", "adapt"})
    settings["data"] = config.data.model_dump(mode="json", exclude={"root", "external", "cache"})
    parts = [settings, assignment.manifest.digest, assignment.split.digest]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _scores(fold: FoldRun) -> Path:
    return fold.paths.reports.with_suffix(".npz")


def _run_fold(fold: FoldRun, progress: Progress) -> _FoldResult:
    path = _scores(fold)
    stored = _read(path, fold.fingerprint)
    if stored is not None:
        return stored
    train_once(fold, progress)
    found = evaluate_test_set(fold.paths, fold.config, progress, assignment=fold.assignment)
    temperature = found.evaluation.settings.temperature
    result = _FoldResult(found.scored, found.abstention_inputs, temperature, found.test_accesses, found.twins)
    _write(path, fold.fingerprint, result)
    return result


def _write(path: Path, fingerprint: str, result: _FoldResult) -> None:
    abstention = result.abstention
    metadata = {"fingerprint": fingerprint, "temperature": result.temperature, "openings": result.test_accesses}
    arrays = {name: getattr(result.scored, name) for name in _ARRAYS}
    reasons = np.array([" ".join(reasons) for reasons in abstention.reasons])
    arrays |= {"doubts": abstention.uncertainty, "reasons": reasons}
    if abstention.prediction_sets is not None:
        metadata["coverage"], arrays["sets"] = abstention.coverage, abstention.prediction_sets
    if result.twins is not None:
        arrays |= {f"twins_{name}": value for name, value in result.twins.to_arrays().items()}
    save_arrays(path, metadata, arrays)


def _read(path: Path, fingerprint: str) -> _FoldResult | None:
    if not path.exists():
        return None
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            metadata = json.loads(str(arrays["facts"]))
            if metadata["fingerprint"] != fingerprint:
                return None
            scored = ScoredSet(**{name: arrays[name] for name in _ARRAYS})
            reasons = tuple(tuple(codes.split()) for codes in arrays["reasons"].tolist())
            abstention = AbstentionInputs(arrays["doubts"], reasons, arrays.get("sets"), metadata.get("coverage"))
            pairs = {name.removeprefix("twins_"): arrays[name] for name in arrays if name.startswith("twins_")}
            twins = ScoredTwins(**pairs) if pairs else None
            return _FoldResult(scored, abstention, metadata["temperature"], metadata["openings"], twins)
    except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        msg = f"{path}: the stored results of this fold are damaged; delete it to train this fold again"
        raise UsageError(msg) from error


def _summarise(root: Path, first: FoldRun, results: list[_FoldResult]) -> CrossValidation:
    settings = evaluation_settings(first.assignment.manifest, first.config)
    folds = []
    for one in results:
        evaluation = evaluate(one.scored, dataclasses.replace(settings, temperature=one.temperature), one.abstention)
        folds.append(_with_twins(evaluation, [one]))
    all_scans = ScoredSet(**{name: np.concatenate([getattr(one.scored, name) for one in results]) for name in _ARRAYS})
    mean_temperature = float(np.mean([one.temperature for one in results]))
    pooled_settings = dataclasses.replace(settings, split="out of fold", temperature=mean_temperature)
    pooled = evaluate(all_scans, pooled_settings, AbstentionInputs.join([one.abstention for one in results]))
    path = root / "reports" / "crossval" / "crossval.json"
    accesses = tuple(one.test_accesses for one in results)
    result = CrossValidation(tuple(folds), _with_twins(pooled, results), accesses, path)
    write_json(path, result.to_json(), "cross-validation")
    return result


def _with_twins(evaluation: Evaluation, results: list[_FoldResult]) -> Evaluation:
    """Add the source-controlled test: mirror twins, each scored by the model that was not trained on its patient."""
    twins = [one.twins for one in results if one.twins is not None]
    controlled = (score_twins(ScoredTwins.join(twins)),) if twins else ()
    return dataclasses.replace(evaluation, source_controlled=controlled)
