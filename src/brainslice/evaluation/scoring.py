"""A bundle meets its test scans, once more than before, and that is written down first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from brainslice.arrays import InputBatch, Probabilities
from brainslice.bundle.store import ModelBundle
from brainslice.config import Config
from brainslice.counterfactual import OutlinedScans
from brainslice.dataset.cache import decode_outlines, decode_scans, scan_statistics
from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.split import Split
from brainslice.dataset.splits.split_assignment import SplitAssignment, assign_split
from brainslice.decision.temperature import Temperature
from brainslice.errors import DatasetError
from brainslice.evaluation.abstention import abstention_inputs
from brainslice.evaluation.ensemble_gain import joint_split
from brainslice.evaluation.source_controlled import score_mirror_twins, score_slices
from brainslice.evaluation.test_access_log import AccessLog
from brainslice.inference.engines.engine import EngineOutput
from brainslice.inference.predictor import Predictor
from brainslice.metrics.abstention import AbstentionInputs
from brainslice.metrics.baseline import fit_baseline
from brainslice.metrics.evaluation import Evaluation, EvaluationSettings, ScoredSet, evaluate
from brainslice.metrics.source_controlled import ScoredTwins, score_twins
from brainslice.paths import ProjectPaths
from brainslice.progress import Progress, silent


@dataclass(frozen=True, slots=True, eq=False)
class ScoredTestSet:
    """A bundle, the test scans it met, and what came of it.

    Attributes:
        manifest: The prepared set.
        split: Its part ``test`` was scored.
        predictor: The one users call.
        output: Logits and class maps of the test scans, in the order of ``split.test``.
        scored: The probabilities beside the truth.
        abstention_inputs: What was said about each of them besides.
        evaluation: Everything said about them.
        test_accesses: How often these test scans have been scored, this time included.
        twins: Answers to mirror twins of the test scans; None where the set has no outlines.
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
    places: ProjectPaths,
    config: Config,
    progress: Progress = silent,
    *,
    division: SplitAssignment | None = None,
    bundle: Path | None = None,
    slices: Sequence[Path] = (),
) -> ScoredTestSet:
    """Score a project's bundle on the test scans of the split it was trained for.

    Args:
        places: Where the project keeps what.
        config: The settings it was trained with.
        progress: Hears how far it is.
        division: Scans and split to score on instead; they lie where the prepared set does.
        bundle: The bundle's folder; the project's own unless told.
        slices: Folders with ``slices.csv`` for the source-controlled test.

    Raises:
        BundleError: There is no bundle, or it was altered.
        DatasetError: The bundle was trained for another split or other scans than those prepared here.
        LeakError: The bundle is an ensemble, and every scan has trained or chosen for one of its members.
    """
    manifest = Manifest.read(places.data) if division is None else division.manifest
    predictor = Predictor.open(bundle or places.bundle)
    split = _split(manifest, config, predictor.bundle) if division is None else division.split
    _refuse_strangers(predictor.bundle, manifest, split)
    opening = (split.digest, split.protocol.value, predictor.bundle.info.digest, len(split.test))
    openings = AccessLog(places.test_access_log).record(*opening)
    inputs = decode_scans(manifest, predictor.recipe, places.cache, progress)
    seen = inputs[split.test]
    output = predictor.score(seen, progress)
    scored = ScoredSet(
        labels=manifest.label_indices[split.test],
        groups=manifest.group_indices[split.test],
        probabilities=predictor.temperature.probabilities(output.logits),
        uncalibrated=Temperature(1.0).probabilities(output.logits),
        baseline=_floor(manifest, split, places, config.seed, progress),
    )
    info = predictor.bundle.info
    terms = replace(
        evaluation_settings(manifest, config),
        protocol=split.protocol.value,
        warnings=info.warnings,
        temperature=info.temperature,
        threshold=info.threshold,
    )
    caution = abstention_inputs(predictor, output, seen)
    twins = _score_twins(predictor, manifest, split, inputs, places.cache, progress)
    controlled = (
        *([score_twins(twins)] if twins else []),
        *(score_slices(each, predictor, progress) for each in slices),
    )
    evaluation = replace(evaluate(scored, terms, caution), source_controlled=controlled)
    return ScoredTestSet(manifest, split, predictor, output, scored, caution, evaluation, openings, twins)


def evaluation_settings(manifest: Manifest, config: Config) -> EvaluationSettings:
    """Say on which terms models of this set are judged, before anything is known of the model."""
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


def _score_twins(
    predictor: Predictor, manifest: Manifest, split: Split, inputs: InputBatch, cache: Path, progress: Progress
) -> ScoredTwins | None:
    """Score mirror twins of the test scans, where the set has outlines; the places of shams do not depend on seeds."""
    if manifest.masks is None:
        return None
    outlines = decode_outlines(manifest, predictor.recipe, cache, progress)
    scans = OutlinedScans(inputs, outlines, manifest.label_indices, manifest.labels.healthy_index, split.test)
    return score_mirror_twins(predictor, scans, manifest.group_indices, progress)


def _floor(manifest: Manifest, split: Split, places: ProjectPaths, seed: int, progress: Progress) -> Probabilities:
    """What a forest on grey levels, fitted on the same training scans, says of the test scans."""
    grey = scan_statistics(manifest, places.cache, progress)
    forest = fit_baseline(grey[split.train], manifest.label_indices[split.train], len(manifest.labels), seed)
    return forest.probabilities(grey[split.test])


def _refuse_strangers(bundle: ModelBundle, manifest: Manifest, split: Split) -> None:
    provenance = bundle.info.provenance
    if provenance.manifest_digest != manifest.digest:
        fault = f"was trained on another set than the one prepared in {manifest.root}"
    elif provenance.split_digest != split.digest:
        fault = "was trained for another split, so that its test scans may have trained it (data.test_fold?)"
    else:
        return
    msg = f"{bundle.folder}: {fault}; run brainslice train again with these settings"
    raise DatasetError(msg)
