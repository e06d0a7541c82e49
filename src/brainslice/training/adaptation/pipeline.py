"""A bundle learns another hospital: compared with cheaper ways, judged out of fold, and refused if it forgets."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from brainslice.bundle.store import ModelBundle
from brainslice.config import Config
from brainslice.dataset.splits.split import assign_folds
from brainslice.decision.marginal_temperature import tumour_probabilities
from brainslice.decision.temperature import Temperature
from brainslice.errors import ForgettingError
from brainslice.evaluation.site_comparison import ComparisonRow, Method, compare_methods
from brainslice.metrics.binary import BinaryScores, binary_scores
from brainslice.models.weights import weights_digest
from brainslice.paths import ProjectPaths, writes_project
from brainslice.progress import Progress, silent
from brainslice.training.adaptation.baselines import (
    FineTuning,
    SourceModel,
    batchnorm_predictions,
    make_fine_tuning,
    source_macro_f1,
    source_model_predictions,
    trainable_part_of,
)
from brainslice.training.adaptation.bundle import AdaptedModel, Outcome, names_for, write_adapted
from brainslice.training.adaptation.data import AdaptationData, load_adaptation_data
from brainslice.training.adaptation.finetune import FineTuningHistory, run_model
from brainslice.training.adaptation.nested_cv import (
    Folds,
    OutOfFold,
    Rows,
    SelectionCriteria,
    Setting,
    SiteLabels,
    tune,
)

SIZES = (10, 20, 50, 100)
"""How many labelled scans of the site the learning curve tries, beside none and all of them."""

HEADLINE = "last blocks and head"
"""The way that the adapted bundle is made in."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What some labelled scans of the site are enough for.

    Attributes:
        labelled: How many trained each model; None means all outside the fold that is judged.
        scores: Out of fold, at P(tumour) of one half.
    """

    labelled: int | None
    scores: BinaryScores


@dataclass(frozen=True, slots=True, eq=False)
class AdaptationResult:
    """What an adaptation came to.

    Attributes:
        bundle: The adapted bundle.
        network: The adapted network as Keras reads it.
        site: What was learnt from, in sentences.
        entries: All ways that were compared, out of fold; the base first.
        curve: What fewer labelled scans are enough for.
        outcome: What is said of the final network.
    """

    bundle: ModelBundle
    network: Path
    site: tuple[str, ...]
    entries: tuple[ComparisonRow, ...]
    curve: tuple[CurvePoint, ...]
    outcome: Outcome


@writes_project("adapting")
def adapt(
    places: ProjectPaths,
    config: Config,
    folder: Path,
    bundle: Path,
    *,
    accept_forgetting: bool = False,
    progress: Progress = silent,
) -> AdaptationResult:
    """Fine-tune a bundle for another site and say, out of fold, what that and cheaper ways come to.

    The site's scans are dealt into folds by group. Rate, length, temperature and threshold are chosen by folds within,
    so nothing that is reported trained or chose. The bundle that is written is trained on all of the site's scans,
    with what those folds chose; its own figure is the out-of-fold one. Interrupted, it goes on where it stopped.

    Args:
        places: The project that the bundle was trained in.
        config: All settings; ``adapt`` holds those of the adaptation.
        folder: The site's scans.
        bundle: The bundle's folder.
        accept_forgetting: Write the bundle although it forgets more of its source than allowed.
        progress: Hears how far it is.

    Raises:
        ForgettingError: Macro F1 on the source's validation scans falls by more than ``adapt.max_forgetting``.
        DatasetError: The site's folder or the prepared set is of no use.
        BundleError: The bundle is damaged.
        ResourceError: The disk is full.
    """
    ground = load_adaptation_data(places, config, bundle, folder, progress)
    truth = SiteLabels(ground.site.tumours, ground.site.groups, ground.bundle.labels.healthy_index)
    folds = assign_folds(truth.tumours.astype(np.int64), truth.groups, config.adapt.folds, config.seed)
    base = _base(ground)
    names = names_for(places, ground.site.name)
    diary = FineTuningHistory(names.workspace, _fingerprint(ground, config))
    before = source_macro_f1(base.held_out, base.held_out_labels)
    terms = SelectionCriteria(config.adapt.specificity, base.watched_score - config.adapt.max_forgetting)
    contestants = list(source_model_predictions(base, folds, truth, config.adapt.specificity))
    contestants.append(batchnorm_predictions(ground, folds, truth, config.adapt.specificity, progress))
    head = make_fine_tuning("head", ground, diary, config.adapt, config.seed, progress)
    contestants.append(_contestant("head only", head.out_of_fold(folds, truth, terms), config))
    head.fine_tuner.reset()
    tail = make_fine_tuning("tail", ground, diary, config.adapt, config.seed, progress)
    found = tail.out_of_fold(folds, truth, terms)
    contestants.append(_contestant(HEADLINE, found, config))
    curve = _curve(tail, base, folds, truth, config) if config.adapt.learning_curve else ()
    entries = compare_methods(truth.tumours, truth.groups, contestants)
    outcome = _final(tail, ground, found, truth, config, before)
    _refuse_forgetting(outcome, config, accepted=accept_forgetting)
    moved = AdaptedModel(ground, found, entries, tuple({"labelled": p.labelled, **p.scores.to_json()} for p in curve))
    written = write_adapted(moved, outcome, names, config, accepted=accept_forgetting)
    shutil.rmtree(names.workspace, ignore_errors=True)
    return AdaptationResult(written, names.network, ground.site.summary_lines(), entries, curve, outcome)


def _base(ground: AdaptationData) -> SourceModel:
    model, info = trainable_part_of(ground), ground.bundle.info
    held_out = run_model(model, ground.held_out)
    return SourceModel(
        site=run_model(model, ground.views[0]),
        held_out=held_out,
        held_out_labels=ground.held_out_labels,
        temperature=Temperature(info.temperature),
        threshold=info.threshold,
        healthy=ground.bundle.labels.healthy_index,
        watched_score=source_macro_f1(held_out[ground.check], ground.held_out_labels[ground.check]),
    )


def _fingerprint(ground: AdaptationData, config: Config) -> str:
    """Digest everything that a fine-tuning depends on, but for its scans and its rate."""
    settings = config.model_dump(mode="json", include={"seed", "adapt", "augment"})
    kept = {
        key: value
        for key, value in settings["adapt"].items()
        if key not in {"learning_curve", "folds", "max_forgetting"}
    }
    scans = [[scan.pixel_hash, scan.label] for scan in ground.site.scans]
    parts = [settings["seed"], settings["augment"], kept, scans, ground.bundle.info.digest]
    parts += [weights_digest(ground.network.model), keras.__version__, keras.config.backend()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _contestant(name: str, found: OutOfFold, config: Config) -> Method:
    looks = config.adapt.checks
    chosen = ", ".join(f"{each.rate:g} to look {each.checkpoint + 1} of {looks}" for each in found.settings)
    note = f"threshold from the site's other folds; rates chosen: {chosen}"
    return Method(name, found.probabilities, found.predictions, note, float(np.mean(found.source_scores)))


def _curve(
    tail: FineTuning, base: SourceModel, folds: Folds, truth: SiteLabels, config: Config
) -> tuple[CurvePoint, ...]:
    """Train on some of each outer fold's scans, with settings that no scan chose, another draw a fold."""
    points = [CurvePoint(0, _scores_at_half(base.site, base.temperature, truth))]
    last = Setting(config.adapt.lr, min(config.adapt.checks, config.adapt.steps) - 1)
    for size in (*SIZES, None):
        if size is not None and size >= int((folds != 0).sum()):
            continue
        logits = np.zeros_like(base.site, dtype=np.float64)
        for fold in range(int(folds.max()) + 1):
            rows = _draw(np.flatnonzero(folds != fold), truth, size, [config.seed, fold])
            judged = np.flatnonzero(folds == fold)
            logits[judged] = tail.at_rate(rows, judged, last.rate)[last].logits
        points.append(CurvePoint(size, _scores_at_half(logits, Temperature(1.0), truth)))
        tail.progress("measuring the learning curve", len(points) - 1, len(SIZES) + 1)
    return tuple(points)


def _draw(rows: Rows, truth: SiteLabels, size: int | None, seed: Sequence[int]) -> Rows:
    """Draw scans as they come, but at least one of each kind."""
    if size is None:
        return rows
    drawn = np.random.default_rng(list(seed)).permutation(rows)
    first = [drawn[np.argmax(truth.tumours[drawn] == kind)] for kind in (True, False)]
    rest = drawn[~np.isin(drawn, first)]
    return np.sort(np.concatenate([first, rest[: size - len(first)]]))


def _scores_at_half(logits: np.ndarray, temperature: Temperature, truth: SiteLabels) -> BinaryScores:
    chances = tumour_probabilities(logits, truth.healthy, temperature)
    return binary_scores(truth.tumours, chances, chances >= 0.5, truth.groups)  # noqa: PLR2004 - one half


def _final(
    tail: FineTuning, ground: AdaptationData, found: OutOfFold, truth: SiteLabels, config: Config, before: float
) -> Outcome:
    """Train on all of the site's scans as the folds chose, and calibrate on what they said out of fold."""
    for look in tail.fine_tuner.fit(np.arange(len(truth.tumours)), found.final.rate):
        if look == found.final.checkpoint:
            break
    tuned = tune(found.logits, truth, config.adapt.specificity)
    held_out = tail.fine_tuner.logits(ground.held_out)
    after = source_macro_f1(held_out, ground.held_out_labels)
    return Outcome(found.final, tuned, held_out, before, after)


def _refuse_forgetting(outcome: Outcome, config: Config, *, accepted: bool) -> None:
    fall, most = outcome.before - outcome.after, config.adapt.max_forgetting
    if accepted or fall <= most:
        return
    msg = (
        f"the adapted network forgets: macro F1 on the source's validation scans falls by {fall:.3f}, from "
        f"{outcome.before:.3f} to {outcome.after:.3f}, and may fall by {most:g}; raise adapt.distillation or "
        "adapt.replay, or give --accept-forgetting to write the bundle all the same"
    )
    raise ForgettingError(msg)
