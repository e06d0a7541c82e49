"""Adapt a bundle to another site by fine-tuning, and compare it with simpler methods out of fold."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from brainslice.bundle import ModelBundle
from brainslice.config import Config
from brainslice.dataset import assign_folds
from brainslice.decision import Temperature, tumour_probabilities
from brainslice.errors import ForgettingError
from brainslice.evaluation import ComparisonRow, Method, compare_methods
from brainslice.metrics import BinaryScores, binary_scores
from brainslice.models import weights_digest
from brainslice.paths import ProjectPaths, writes_project
from brainslice.progress import Progress, silent
from brainslice.training.adaptation.baselines import (
    SourceModel,
    batchnorm_predictions,
    source_model_predictions,
)
from brainslice.training.adaptation.bundle import AdaptedModel, Outcome, names_for, write_adapted
from brainslice.training.adaptation.data import AdaptationData, load_adaptation_data
from brainslice.training.adaptation.finetune import (
    FineTuning,
    FineTuningHistory,
    make_fine_tuning,
    run_model,
    source_macro_f1,
    trainable_part_of,
)
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
"""Numbers of labelled scans in the learning curve, besides none and all."""

HEADLINE = "last blocks and head"
"""Name of the method that the adapted bundle is made with."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One point of the learning curve.

    Attributes:
        labelled: Number of scans that trained each model; None means all outside the test fold.
        scores: Out of fold, at a threshold of one half.
    """

    labelled: int | None
    scores: BinaryScores


@dataclass(frozen=True, slots=True, eq=False)
class AdaptationResult:
    """Result of an adaptation.

    Attributes:
        bundle: The adapted bundle.
        network: The adapted network's Keras file.
        site: Description of the site's scans, a line each.
        entries: Out-of-fold metrics of all methods; the base first.
        curve: Learning curve over the number of labelled scans.
        outcome: Setting and scores of the final network.
    """

    bundle: ModelBundle
    network: Path
    site: tuple[str, ...]
    entries: tuple[ComparisonRow, ...]
    curve: tuple[CurvePoint, ...]
    outcome: Outcome


@writes_project("adapting")
def adapt(
    paths: ProjectPaths,
    config: Config,
    folder: Path,
    bundle: Path,
    *,
    accept_forgetting: bool = False,
    progress: Progress = silent,
) -> AdaptationResult:
    """Fine-tune a bundle for another site, and evaluate it and simpler methods by nested cross-validation.

    Folds of the site's scans are made by group. Inner folds choose learning rate, checkpoint, temperature and
    threshold, so no scan is reported on that trained or tuned the model. The bundle is trained on all of the site's
    scans with the settings chosen by the folds; its metrics are the out-of-fold ones. An interrupted run resumes.

    Args:
        paths: The project that the bundle was trained in.
        config: All settings; ``adapt`` holds those of the adaptation.
        folder: The site's scans.
        bundle: The bundle's folder.
        accept_forgetting: Write the bundle even where forgetting exceeds ``adapt.max_forgetting``.
        progress: Called with the step and how far it is.

    Raises:
        ForgettingError: Macro F1 on the source's validation scans falls by more than ``adapt.max_forgetting``.
        DatasetError: The site's folder or the prepared set is invalid.
        BundleError: The bundle is damaged.
        ResourceError: The disk is full.
    """
    data = load_adaptation_data(paths, config, bundle, folder, progress)
    labels = SiteLabels(data.site.tumours, data.site.groups, data.bundle.labels.healthy_index)
    folds = assign_folds(
        labels.tumours.astype(np.int64), labels.groups, config.adapt.folds, config.seed, option="adapt.folds"
    )
    base = _base(data)
    names = names_for(paths, data.site.name)
    history = FineTuningHistory(names.workspace, _fingerprint(data, config))
    before = source_macro_f1(base.held_out, base.held_out_labels)
    criteria = SelectionCriteria(config.adapt.specificity, base.watched_score - config.adapt.max_forgetting)
    methods = list(source_model_predictions(base, folds, labels, config.adapt.specificity))
    methods.append(batchnorm_predictions(data, folds, labels, config.adapt.specificity, progress))
    head = make_fine_tuning("head", data, history, config.adapt, config.seed, progress)
    methods.append(_method("head only", head.out_of_fold(folds, labels, criteria), config))
    head.fine_tuner.reset()
    tail = make_fine_tuning("tail", data, history, config.adapt, config.seed, progress)
    found = tail.out_of_fold(folds, labels, criteria)
    methods.append(_method(HEADLINE, found, config))
    curve = _curve(tail, base, folds, labels, config) if config.adapt.learning_curve else ()
    entries = compare_methods(labels.tumours, labels.groups, methods)
    outcome = _final(tail, data, found, labels, config, before)
    _check_forgetting(outcome, config, accepted=accept_forgetting)
    points = tuple({"labelled": point.labelled, **point.scores.to_json()} for point in curve)
    written = write_adapted(
        AdaptedModel(data, found, entries, points), outcome, names, config, accepted=accept_forgetting
    )
    shutil.rmtree(names.workspace, ignore_errors=True)
    return AdaptationResult(written, names.network, data.site.summary_lines(), entries, curve, outcome)


def _base(data: AdaptationData) -> SourceModel:
    model, info = trainable_part_of(data), data.bundle.info
    held_out = run_model(model, data.held_out)
    return SourceModel(
        site=run_model(model, data.views[0]),
        held_out=held_out,
        held_out_labels=data.held_out_labels,
        temperature=Temperature(info.temperature),
        threshold=info.threshold,
        healthy=data.bundle.labels.healthy_index,
        watched_score=source_macro_f1(held_out[data.check], data.held_out_labels[data.check]),
    )


def _fingerprint(data: AdaptationData, config: Config) -> str:
    """Digest everything that a fine-tuning depends on except its rows and its learning rate."""
    settings = config.model_dump(mode="json", include={"seed", "adapt", "augment"})
    kept = {
        key: value
        for key, value in settings["adapt"].items()
        if key not in {"learning_curve", "folds", "max_forgetting"}
    }
    scans = [[scan.pixel_hash, scan.label] for scan in data.site.scans]
    parts = [settings["seed"], settings["augment"], kept, scans, data.bundle.info.digest]
    parts += [weights_digest(data.network.model), keras.__version__, keras.config.backend()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _method(name: str, found: OutOfFold, config: Config) -> Method:
    checks = config.adapt.checks
    chosen = ", ".join(f"{each.rate:g} to checkpoint {each.checkpoint + 1} of {checks}" for each in found.settings)
    note = f"threshold from the site's other folds; rates chosen: {chosen}"
    return Method(name, found.probabilities, found.predictions, note, float(np.mean(found.source_scores)))


def _curve(
    tail: FineTuning, base: SourceModel, folds: Folds, labels: SiteLabels, config: Config
) -> tuple[CurvePoint, ...]:
    """Train on random subsets of each outer fold's training scans, with fixed settings."""
    points = [CurvePoint(0, _scores_at_half(base.site, base.temperature, labels))]
    last = Setting(config.adapt.lr, min(config.adapt.checks, config.adapt.steps) - 1)
    for size in (*SIZES, None):
        if size is not None and size >= int((folds != 0).sum()):
            continue
        logits = np.zeros_like(base.site, dtype=np.float64)
        for fold in range(int(folds.max()) + 1):
            rows = _draw(np.flatnonzero(folds != fold), labels, size, [config.seed, fold])
            test = np.flatnonzero(folds == fold)
            logits[test] = tail.at_rate(rows, test, last.rate)[last].logits
        points.append(CurvePoint(size, _scores_at_half(logits, Temperature(1.0), labels)))
        tail.progress("measuring the learning curve", len(points) - 1, len(SIZES) + 1)
    return tuple(points)


def _draw(rows: Rows, labels: SiteLabels, size: int | None, seed: Sequence[int]) -> Rows:
    """Draw scans at random, with at least one tumour and one healthy scan."""
    if size is None:
        return rows
    drawn = np.random.default_rng(list(seed)).permutation(rows)
    first = [drawn[np.argmax(labels.tumours[drawn] == kind)] for kind in (True, False)]
    rest = drawn[~np.isin(drawn, first)]
    return np.sort(np.concatenate([first, rest[: size - len(first)]]))


def _scores_at_half(logits: np.ndarray, temperature: Temperature, labels: SiteLabels) -> BinaryScores:
    probabilities = tumour_probabilities(logits, labels.healthy, temperature)
    return binary_scores(labels.tumours, probabilities, probabilities >= 0.5, labels.groups)  # noqa: PLR2004 - one half


def _final(
    tail: FineTuning, data: AdaptationData, found: OutOfFold, labels: SiteLabels, config: Config, before: float
) -> Outcome:
    """Train on all of the site's scans with the chosen setting, and calibrate on the out-of-fold logits."""
    for checkpoint in tail.fine_tuner.fit(np.arange(len(labels.tumours)), found.final.rate):
        if checkpoint == found.final.checkpoint:
            break
    tuned = tune(found.logits, labels, config.adapt.specificity)
    held_out = tail.fine_tuner.logits(data.held_out)
    after = source_macro_f1(held_out, data.held_out_labels)
    return Outcome(found.final, tuned, held_out, before, after)


def _check_forgetting(outcome: Outcome, config: Config, *, accepted: bool) -> None:
    fall, most = outcome.before - outcome.after, config.adapt.max_forgetting
    if accepted or fall <= most:
        return
    msg = (
        f"the adapted network forgets: macro F1 on the source's validation scans falls by {fall:.3f}, from "
        f"{outcome.before:.3f} to {outcome.after:.3f}, and may fall by {most:g}; raise adapt.distillation or "
        "adapt.replay, or give --accept-forgetting to write the bundle anyway"
    )
    raise ForgettingError(msg)
