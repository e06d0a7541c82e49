"""Ways of moving a model to another site, from doing nothing to fine-tuning, each judged out of fold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import keras
import numpy as np
from jaxtyping import Float, Int

from brainslice.arrays import Labels, Logits
from brainslice.config import AdaptConfig
from brainslice.decision.marginal_temperature import tumour_probabilities
from brainslice.decision.operating_point import Criterion, Target
from brainslice.decision.temperature import Temperature
from brainslice.decision.threshold_search import TumourScores, search_threshold
from brainslice.evaluation.site_comparison import Method
from brainslice.metrics.classification import confusion, macro_f1
from brainslice.models.adaptation_loss import adaptation_targets, tumour_or_healthy
from brainslice.models.build import pooled_features, set_trainable
from brainslice.models.head import HEAD
from brainslice.models.losses import one_hot
from brainslice.progress import Progress
from brainslice.training.adaptation.batchnorm import adapt_batchnorm
from brainslice.training.adaptation.data import AdaptationData
from brainslice.training.adaptation.finetune import FineTuner, FineTuningData, FineTuningHistory, Inputs, run_model
from brainslice.training.adaptation.nested_cv import (
    Folds,
    OutOfFold,
    Rows,
    SelectionCriteria,
    Setting,
    SettingScores,
    SiteLabels,
    find_threshold,
    nested_cross_validation,
    tune,
)

_SLOWER = 0.25
"""The lower learning rate that is tried, as a share of the higher one."""

_MOMENT_SCANS = 256

_Carry: TypeAlias = Callable[[Inputs], Inputs]


@dataclass(frozen=True, slots=True, eq=False)
class SourceModel:
    """What the bundle says as it is.

    Attributes:
        site: Logits of the site's scans ``(n, k)``.
        held_out: Logits of the source's validation scans ``(v, k)``.
        held_out_labels: Their classes ``(v,)``.
        temperature: The bundle's.
        threshold: The bundle's.
        healthy: The place of the healthy class.
        watched_score: Macro F1 on the source scans on which forgetting is watched.
    """

    site: Logits
    held_out: Float[np.ndarray, "v k"]
    held_out_labels: Int[np.ndarray, " v"]
    temperature: Temperature
    threshold: float
    healthy: int
    watched_score: float

    def source_threshold(self, specificity: float) -> float:
        """Find the lowest threshold that reaches a specificity on the source's validation scans."""
        truth = self.held_out_labels != self.healthy
        chances = tumour_probabilities(self.held_out, self.healthy, self.temperature)
        tuning = TumourScores(chances, truth, np.arange(len(truth)))
        return search_threshold(Target(Criterion.SPECIFICITY, specificity), tuning).threshold


def source_macro_f1(logits: Logits, labels: Labels) -> float:
    """Score the source's classes."""
    return macro_f1(confusion(labels, np.asarray(logits.argmax(axis=1)), logits.shape[1]))


def trainable_part_of(ground: AdaptationData) -> keras.Model:
    """The part above the cut, to logits alone."""
    tail = ground.network.trainable_part
    return keras.Model(tail.inputs, tail.output["logits"], name="tail_logits")


def source_model_predictions(
    base: SourceModel, folds: Folds, truth: SiteLabels, specificity: float
) -> tuple[Method, ...]:
    """Judge what needs no training: the bundle as it is, other thresholds, another temperature."""
    chances = tumour_probabilities(base.site, base.healthy, base.temperature)
    kept = base.watched_score
    fixed = base.source_threshold(specificity)
    cut, warmed = np.zeros(len(folds)), np.zeros(len(folds))
    for train, test in _outer(folds):
        part = truth.part(train)
        cut[test] = find_threshold(base.site[train], part, base.temperature, specificity)
        temperature = tune(base.site[train], part, specificity).temperature
        warmed[test] = tumour_probabilities(base.site[test], base.healthy, temperature)
    at_own, at_source = chances >= base.threshold, chances >= fixed
    source_words = f"P(tumour) from {fixed:.3g}: {specificity:.0%} specificity on the source's validation scans"
    return (
        Method("base", chances, at_own, f"the bundle as it is, P(tumour) from {base.threshold:.3g}", kept),
        Method("base, source threshold", chances, at_source, source_words, kept),
        Method("threshold only", chances, chances >= cut, _SITE_CUT, kept),
        Method("temperature only", warmed, warmed >= base.threshold, "the bundle's threshold", kept),
    )


_SITE_CUT = "threshold from the site's other folds"


def batchnorm_predictions(
    ground: AdaptationData, folds: Folds, truth: SiteLabels, specificity: float, progress: Progress
) -> Method:
    """Judge BatchNorm statistics moved for the site: no label is used but for the threshold."""
    tail, healthy = trainable_part_of(ground), truth.healthy
    before = tail.get_weights()
    chances, called = np.zeros(len(folds)), np.zeros(len(folds), dtype=np.bool_)
    scores = []
    for number, (train, test) in enumerate(_outer(folds)):
        adapt_batchnorm(ground.network.trainable_part, ground.replay[:_MOMENT_SCANS], ground.views[0][train])
        said = run_model(tail, ground.views[0])
        tuned = tune(said[train], truth.part(train), specificity)
        chances[test] = tumour_probabilities(said[test], healthy, tuned.temperature)
        called[test] = chances[test] >= tuned.threshold
        scores.append(
            source_macro_f1(run_model(tail, ground.held_out[ground.check]), ground.held_out_labels[ground.check])
        )
        tail.set_weights(before)
        progress("moving BatchNorm statistics", number + 1, int(folds.max()) + 1)
    return Method("BatchNorm statistics", chances, called, _SITE_CUT, float(np.mean(scores)))


@dataclass(frozen=True, slots=True, eq=False)
class FineTuning:
    """One part of the network being fine-tuned: the head, or the last blocks and the head.

    Attributes:
        name: What it is called.
        fine_tuner: The model.
        history: Keeps what finished fine-tunings said.
        settings: How to train.
        check_labels: Classes of the source scans that are watched.
        progress: Hears how far it is.
    """

    name: str
    fine_tuner: FineTuner
    history: FineTuningHistory
    settings: AdaptConfig
    check_labels: Labels
    progress: Progress

    @property
    def rates(self) -> tuple[float, float]:
        """The learning rates that are tried."""
        return self.settings.lr, self.settings.lr * _SLOWER

    def at_rate(self, rows: Rows, watched: Rows, rate: float) -> Mapping[Setting, SettingScores]:
        """Fine-tune on some scans at one rate, and hear what is said of others at each look."""
        found = self.history.evaluate(self.fine_tuner, rows, rate, watched)
        return {
            Setting(rate, look): SettingScores(site.astype(np.float64), source_macro_f1(check, self.check_labels))
            for look, (site, check) in enumerate(zip(found.site, found.check, strict=True))
        }

    def out_of_fold(self, folds: Folds, truth: SiteLabels, terms: SelectionCriteria) -> OutOfFold:
        """Judge it by folds, with rate and length chosen by folds within."""
        count = int(folds.max()) + 1
        total, done = count * (count - 1) // 2 + count, 0

        def study(rows: Rows, watched: Rows, only: Setting | None) -> Mapping[Setting, SettingScores]:
            nonlocal done
            heard: dict[Setting, SettingScores] = {}
            for rate in self.rates if only is None else (only.rate,):
                heard |= self.at_rate(rows, watched, rate)
            done += 1
            self.progress(f"fine-tuning the {self.name}", done, total)
            return heard

        return nested_cross_validation(study, folds, truth, terms)


def make_fine_tuning(
    name: str, ground: AdaptationData, folder: FineTuningHistory, config: AdaptConfig, seed: int, progress: Progress
) -> FineTuning:
    """Make the ``head`` or the ``tail`` ready to be fine-tuned."""
    model, carried = _head(ground) if name == "head" else (trainable_part_of(ground), _as_they_are)
    set_trainable(ground.network, "head" if name == "head" else "tail")
    material = _material(ground, model, carried)
    diary = FineTuningHistory(folder.folder / name, f"{folder.fingerprint} {name}")
    check_labels = ground.held_out_labels[ground.check]
    return FineTuning(name, FineTuner(model, material, config, seed), diary, config, check_labels, progress)


def _as_they_are(inputs: Inputs) -> Inputs:
    return inputs


def _head(ground: AdaptationData) -> tuple[keras.Model, _Carry]:
    if ground.network.config.head == "pyramid":
        return trainable_part_of(ground), _as_they_are
    pooled = pooled_features(ground.network)
    head = ground.network.model.get_layer(HEAD)
    features = keras.Input(pooled.output.shape[1:])
    dropped = keras.layers.Dropout(ground.network.config.dropout, seed=ground.network.config.seed)(features)
    return keras.Model(features, head(dropped), name="head"), lambda inputs: run_model(pooled, inputs)


def _material(ground: AdaptationData, model: keras.Model, carried: _Carry) -> FineTuningData:
    """Lay out what is learnt: the site's labels, the source's classes, and what the network said before of both."""
    labels, healthy = ground.bundle.labels, ground.bundle.labels.healthy_index
    classes, tumours = len(labels), ground.site.tumours
    allowed = tumour_or_healthy(tumours, healthy, classes)
    types = tumour_or_healthy(np.ones(len(tumours), dtype=np.bool_), healthy, classes)
    if not ground.site.binary:
        allowed = one_hot(np.array([labels.index(scan.label) for scan in ground.site.scans]), classes)
    views = tuple(carried(view) for view in ground.views)
    replay = carried(ground.replay)
    everything = np.ones((len(replay), classes), dtype=np.float32)
    shown = one_hot(ground.replay_labels, classes)
    return FineTuningData(
        site=views,
        # What the network said of another site's tumours is kept as far as the type goes, of healthy scans not at all.
        site_targets=tuple(
            adaptation_targets(allowed, run_model(model, view), types * tumours[:, None].astype(np.float32))
            for view in views
        ),
        tumours=tumours,
        replay=replay,
        replay_targets=adaptation_targets(shown, run_model(model, replay), everything),
        check=carried(ground.held_out[ground.check]),
    )


def _outer(folds: Folds) -> Iterator[tuple[Rows, Rows]]:
    for fold in range(int(folds.max()) + 1):
        yield np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
