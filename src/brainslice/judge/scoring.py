"""A bundle meets its test scans, once more than before, and that is written down first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from brainslice.arrays import Probabilities
from brainslice.bundle.store import ModelBundle
from brainslice.cohort.decoded import decode, statistics
from brainslice.cohort.division import Division, divide
from brainslice.cohort.manifest import Manifest
from brainslice.cohort.split import Split
from brainslice.config import Config
from brainslice.errors import DatasetError
from brainslice.infer.engine import EngineOutput
from brainslice.infer.predictor import Predictor
from brainslice.judge.caution import caution_of
from brainslice.judge.ledger import Ledger
from brainslice.judge.together import seen_together
from brainslice.measure.abstention import Caution
from brainslice.measure.evaluation import Evaluation, Scored, Terms, evaluate
from brainslice.measure.floor import fit_floor
from brainslice.places import Places
from brainslice.progress import Progress, silent
from brainslice.trust.calibration import Temperature


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A bundle, the test scans it met, and what came of it.

    Attributes:
        manifest: The prepared set.
        split: Its part ``test`` was scored.
        predictor: The one users call.
        output: Logits and class maps of the test scans, in the order of ``split.test``.
        scored: The probabilities beside the truth.
        caution: What was said about each of them besides.
        evaluation: Everything said about them.
        openings: How often these test scans have been scored, this time included.
    """

    manifest: Manifest
    split: Split
    predictor: Predictor
    output: EngineOutput
    scored: Scored
    caution: Caution
    evaluation: Evaluation
    openings: int


def judge(
    places: Places,
    config: Config,
    progress: Progress = silent,
    *,
    division: Division | None = None,
    bundle: Path | None = None,
) -> Judged:
    """Score a project's bundle on the test scans of the split it was trained for.

    Args:
        places: Where the project keeps what.
        config: The settings it was trained with.
        progress: Hears how far it is.
        division: Scans and split to score on instead; they lie where the prepared set does.
        bundle: The bundle's folder; the project's own unless told.

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
    openings = Ledger(places.ledger).enter(*opening)
    inputs = decode(manifest, predictor.recipe, places.cache, progress)
    seen = inputs[split.test]
    output = predictor.score(seen, progress)
    scored = Scored(
        labels=manifest.label_indices[split.test],
        groups=manifest.group_indices[split.test],
        probabilities=predictor.temperature.probabilities(output.logits),
        uncalibrated=Temperature(1.0).probabilities(output.logits),
        floor=_floor(manifest, split, places, config.seed, progress),
    )
    info = predictor.bundle.info
    terms = replace(
        terms_of(manifest, config),
        protocol=split.protocol.value,
        marks=info.marks,
        temperature=info.temperature,
        threshold=info.threshold,
    )
    caution = caution_of(predictor, output, seen)
    return Judged(manifest, split, predictor, output, scored, caution, evaluate(scored, terms, caution), openings)


def terms_of(manifest: Manifest, config: Config) -> Terms:
    """Say on which terms models of this set are judged, before anything is known of the model."""
    return Terms(
        label_set=manifest.labels,
        dataset=manifest.name,
        protocol=config.data.protocol,
        marks=("phantom",) if manifest.phantom else (),
        threshold=config.inference.threshold,
        bins=config.calibration.bins,
        seed=config.seed,
    )


def _split(manifest: Manifest, config: Config, bundle: ModelBundle) -> Split:
    return divide(manifest, config).split if bundle.info.ensemble is None else seen_together(bundle, manifest)


def _floor(manifest: Manifest, split: Split, places: Places, seed: int, progress: Progress) -> Probabilities:
    """What a forest on grey levels, fitted on the same training scans, says of the test scans."""
    grey = statistics(manifest, places.cache, progress)
    forest = fit_floor(grey[split.train], manifest.label_indices[split.train], len(manifest.labels), seed)
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
