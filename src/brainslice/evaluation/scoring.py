"""Score a bundle on the test scans of its split, and log every such access."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from brainslice.arrays import InputBatch, Probabilities
from brainslice.bundle import ModelBundle
from brainslice.config import Config
from brainslice.counterfactual import OutlinedScans
from brainslice.dataset import (
    Manifest,
    Split,
    SplitAssignment,
    assign_split,
    decode_outlines,
    decode_scans,
    scan_statistics,
)
from brainslice.decision import Temperature, uncertainty_scores
from brainslice.errors import DatasetError, UsageError
from brainslice.evaluation.ensemble_gain import joint_split
from brainslice.evaluation.source_controlled import score_mirror_twins, score_slices
from brainslice.files import SCHEMA, write_text
from brainslice.inference import EngineOutput, Predictor
from brainslice.metrics import (
    AbstentionInputs,
    Evaluation,
    EvaluationSettings,
    ScoredSet,
    ScoredTwins,
    evaluate,
    fit_baseline,
    score_twins,
)
from brainslice.paths import ProjectPaths
from brainslice.preprocessing import Recipe
from brainslice.progress import Progress, silent


@dataclass(frozen=True, slots=True, eq=False)
class ScoredTestSet:
    """A bundle's outputs and metrics on its test scans.

    Attributes:
        manifest: The prepared set.
        split: Its part ``test`` was scored.
        predictor: The same as for users' scans.
        output: Logits and class maps of the test scans, in the order of ``split.test``.
        scored: Probabilities and true classes.
        abstention_inputs: Uncertainty, reasons for referral and prediction sets of each scan.
        evaluation: All metrics.
        test_accesses: How often these test scans have been scored, this time included.
        twins: Scores of mirror twins of the test scans; None where the set has no outlines.
    """

    manifest: Manifest
    split: Split
    predictor: Predictor
    output: EngineOutput
    scored: ScoredSet
    abstention_inputs: AbstentionInputs
    evaluation: Evaluation
    test_accesses: int
    twins: ScoredTwins | None = None


def evaluate_test_set(
    paths: ProjectPaths,
    config: Config,
    progress: Progress = silent,
    *,
    assignment: SplitAssignment | None = None,
    bundle: Path | None = None,
    slices: Sequence[Path] = (),
) -> ScoredTestSet:
    """Score a project's bundle on the test scans of the split it was trained for.

    Args:
        paths: The project's files and folders.
        config: The settings it was trained with.
        progress: Called with the step and how far it is.
        assignment: Manifest and split to score on; by default those of ``paths`` and ``config``.
        bundle: The bundle's folder; by default the project's own.
        slices: Folders with ``slices.csv`` for the source-controlled test.

    Raises:
        BundleError: There is no bundle, or it was altered.
        DatasetError: The bundle was trained for another split or other scans than those prepared here.
        LeakError: The bundle is an ensemble, and every scan trained or validated one of its members.
        UsageError: Folders of slices are given, and no class is healthy.
    """
    manifest = Manifest.read(paths.data) if assignment is None else assignment.manifest
    predictor = Predictor.open(bundle or paths.bundle)
    split = _split(manifest, config, predictor.bundle) if assignment is None else assignment.split
    _check_inputs(predictor.bundle, manifest, split, slices)
    test_accesses = record_access(paths.test_access_log, split, predictor.bundle)
    inputs = decode_scans(manifest, predictor.recipe, paths.cache, progress)
    output = predictor.score(inputs[split.test], progress)
    scored = ScoredSet(
        labels=manifest.label_indices[split.test],
        groups=manifest.group_indices[split.test],
        probabilities=predictor.temperature.probabilities(output.logits),
        uncalibrated=Temperature(1.0).probabilities(output.logits),
        baseline=_baseline(manifest, split, paths, config.seed, progress),
    )
    info = predictor.bundle.info
    settings = replace(
        evaluation_settings(manifest, config),
        protocol=split.protocol.value,
        warnings=info.warnings,
        temperature=info.temperature,
        threshold=info.threshold,
    )
    abstention = _abstention_inputs(predictor, output, inputs[split.test])
    scans = _outlined_scans(manifest, split, predictor.recipe, inputs, paths.cache, progress)
    twins = None if scans is None else score_mirror_twins(predictor, scans, output.logits, scored.groups, progress)
    controlled = (
        *([score_twins(twins)] if twins else []),
        *(score_slices(folder, predictor, progress) for folder in slices),
    )
    evaluation = replace(evaluate(scored, settings, abstention), source_controlled=controlled)
    return ScoredTestSet(manifest, split, predictor, output, scored, abstention, evaluation, test_accesses, twins)


def evaluation_settings(manifest: Manifest, config: Config) -> EvaluationSettings:
    """Return the settings of an evaluation on a set, with defaults for what depends on the model."""
    return EvaluationSettings(
        label_set=manifest.labels,
        dataset=manifest.name,
        protocol=config.data.protocol,
        warnings=("phantom",) if manifest.phantom else (),
        threshold=config.inference.threshold,
        bins=config.calibration.bins,
        seed=config.seed,
    )


def _split(manifest: Manifest, config: Config, bundle: ModelBundle) -> Split:
    return assign_split(manifest, config).split if bundle.info.ensemble is None else joint_split(bundle, manifest)


def _check_inputs(bundle: ModelBundle, manifest: Manifest, split: Split, slices: Sequence[Path]) -> None:
    if slices and manifest.labels.healthy is None:
        msg = f"--slices needs a healthy class, and none of {', '.join(manifest.labels.names)} is; leave it out"
        raise UsageError(msg)
    provenance = bundle.info.provenance
    if provenance.manifest_digest != manifest.digest:
        fault = f"was trained on another set than the one prepared in {manifest.root}"
    elif provenance.split_digest != split.digest:
        fault = "was trained for another split, so that its test scans may have trained it (data.test_fold?)"
    else:
        return
    msg = f"{bundle.folder}: {fault}; run brainslice train again with these settings"
    raise DatasetError(msg)


def _abstention_inputs(predictor: Predictor, output: EngineOutput, inputs: InputBatch) -> AbstentionInputs:
    """Apply the verdict rules to test scans as to users' scans."""
    decisions = predictor.verdict_rules.decide(output, list(inputs), predictor.temperature, predictor.threshold)
    probabilities = predictor.temperature.probabilities(output.logits)
    sets, names = predictor.verdict_rules.conformal_sets, predictor.bundle.labels.names
    members = np.array([[name in each.prediction_set for name in names] for each in decisions], dtype=bool)
    ood_scores = [each.ood_score for each in decisions if each.ood_score is not None]
    return AbstentionInputs(
        uncertainty=uncertainty_scores(probabilities, np.array(ood_scores) if ood_scores else None),
        reasons=tuple(tuple(reason.value for reason in each.reasons) for each in decisions),
        prediction_sets=None if sets is None else members,
        coverage=None if sets is None else sets.coverage,
    )


def _outlined_scans(
    manifest: Manifest, split: Split, recipe: Recipe, inputs: InputBatch, cache: Path, progress: Progress
) -> OutlinedScans | None:
    """Return the set with the outlines of its lesions, of which the test scans are used.

    Returns:
        None where the set has no outlines, or no healthy class.
    """
    if manifest.masks is None or manifest.labels.healthy is None:
        return None
    outlines = decode_outlines(manifest, recipe, cache, progress)
    return OutlinedScans(inputs, outlines, manifest.label_indices, manifest.labels.healthy_index, split.test)


def _baseline(manifest: Manifest, split: Split, paths: ProjectPaths, seed: int, progress: Progress) -> Probabilities:
    """Return the test probabilities of a random forest on grey levels, fitted on the same training scans."""
    statistics = scan_statistics(manifest, paths.cache, progress)
    forest = fit_baseline(statistics[split.train], manifest.label_indices[split.train], len(manifest.labels), seed)
    return forest.probabilities(statistics[split.test])


def record_access(log: Path, split: Split, bundle: ModelBundle, scans: int | None = None) -> int:
    """Add an entry to the log of test set accesses (one JSON object a line), before the scans are scored.

    Args:
        log: The log.
        split: Its part ``test`` is scored.
        bundle: The bundle that scores it.
        scans: How many of the test scans; all where None.

    Returns:
        How often this split's test scans have been scored, this time included.

    Raises:
        DatasetError: The file is damaged.
    """
    text = log.read_text(encoding="utf-8") if log.exists() else ""
    try:
        digests = [json.loads(line)["split"] for line in text.splitlines()]
    except (ValueError, TypeError, KeyError) as error:
        msg = f"{log}: the log of test set accesses is damaged; restore a copy, or move it away"
        raise DatasetError(msg) from error
    entry = {
        "schema": SCHEMA.format("test-access"),
        "split": split.digest,
        "protocol": split.protocol.value,
        "bundle": bundle.info.digest,
        "scans": len(split.test) if scans is None else scans,
        "time": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
    write_text(log, f"{text}{json.dumps(entry)}\n")
    return digests.count(split.digest) + 1
