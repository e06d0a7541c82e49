"""Nested cross-validation: inner folds choose settings and thresholds, outer folds are scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np

from brainslice.array_types import Int
from brainslice.arrays import Decisions, Logits, Scores
from brainslice.decision import (
    Criterion,
    Target,
    Temperature,
    TumourScores,
    fit_marginal_temperature,
    marginal_losses,
    search_threshold,
    tumour_probabilities,
)
from brainslice.errors import CalibrationError

Folds: TypeAlias = Int[np.ndarray, " n"]
Rows: TypeAlias = Int[np.ndarray, " _"]


@dataclass(frozen=True, slots=True)
class Setting:
    """Hyperparameters of a fine-tuning.

    Attributes:
        rate: The learning rate.
        checkpoint: Number of the checkpoint at which training stops, from 0.
    """

    rate: float
    checkpoint: int


@dataclass(frozen=True, slots=True, eq=False)
class SettingScores:
    """Scores of one setting's model on scans that did not train it.

    Attributes:
        logits: Of the site's scans ``(m, k)``.
        source_score: Macro F1 on the source scans that forgetting is measured on.
    """

    logits: Logits
    source_score: float


Candidates: TypeAlias = Mapping[Setting, SettingScores]
Scorer: TypeAlias = Callable[[Rows, Rows, Setting | None], Candidates]
"""Trains on the first rows and scores the second ones, with every setting, or at least with the one given."""


@dataclass(frozen=True, slots=True)
class SiteLabels:
    """Labels and groups of the site's scans.

    Attributes:
        tumours: Whether each is a tumour ``(n,)``.
        groups: The group of each ``(n,)``.
        healthy: Index of the healthy class.
    """

    tumours: Decisions
    groups: Int[np.ndarray, " n"]
    healthy: int

    def part(self, rows: Rows) -> SiteLabels:
        """Select some of the scans."""
        return SiteLabels(self.tumours[rows], self.groups[rows], self.healthy)


@dataclass(frozen=True, slots=True)
class SelectionCriteria:
    """Criteria of the choice of threshold and setting.

    Attributes:
        specificity: Least specificity of the threshold on tuning scans.
        min_source_score: Least macro F1 of a setting on source scans.
    """

    specificity: float
    min_source_score: float


@dataclass(frozen=True, slots=True)
class TunedThreshold:
    """A temperature and a threshold, both from tuning scans."""

    temperature: Temperature
    threshold: float


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFold:
    """Predictions for each scan by a model that it neither trained nor tuned.

    Attributes:
        logits: Raw scores ``(n, k)``.
        probabilities: P(tumour) at the temperature of the scan's fold ``(n,)``.
        predictions: Which scans are predicted to show a tumour, at the threshold of their fold ``(n,)``.
        source_scores: Macro F1 on the watched source scans, by fold.
        settings: The chosen settings, by fold.
        final: The setting chosen for a model that trains on all scans.
    """

    logits: Logits
    probabilities: Scores
    predictions: Decisions
    source_scores: tuple[float, ...]
    settings: tuple[Setting, ...]
    final: Setting


def tune(logits: Logits, labels: SiteLabels, specificity: float) -> TunedThreshold:
    """Fit a temperature, then find the lowest threshold that reaches a specificity."""
    try:
        temperature = fit_marginal_temperature(logits, labels.tumours, labels.healthy)
    except CalibrationError:
        temperature = Temperature(1.0)
    return TunedThreshold(temperature, find_threshold(logits, labels, temperature, specificity))


def find_threshold(logits: Logits, labels: SiteLabels, temperature: Temperature, specificity: float) -> float:
    """Find the lowest threshold on P(tumour) that reaches a specificity on tuning scans."""
    probabilities = tumour_probabilities(logits, labels.healthy, temperature)
    tuning = TumourScores(probabilities, labels.tumours, labels.groups)
    return search_threshold(Target(Criterion.SPECIFICITY, specificity), tuning).threshold


def outer_folds(folds: Folds) -> Iterator[tuple[Rows, Rows]]:
    """Yield the rows outside and inside each fold."""
    for fold in range(int(folds.max()) + 1):
        yield np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)


def nested_cross_validation(scorer: Scorer, folds: Folds, labels: SiteLabels, criteria: SelectionCriteria) -> OutOfFold:
    """Predict every scan out of fold, with settings, temperature and threshold chosen by inner folds.

    For each pair of folds one model is trained on all others, and its scores of one fold of the pair tune the model
    that is tested on the other: each outer fold is tuned on all other folds, by models that were trained on neither.
    """
    members = [np.flatnonzero(folds == fold) for fold in range(int(folds.max()) + 1)]
    inner = _score_pairs(scorer, members)
    outer = [_score_fold(scorer, inner, members, labels, criteria, fold) for fold in range(len(members))]
    order = np.argsort(np.concatenate(members))
    all_labels = labels.part(np.concatenate([members[other] for _, other in inner]))
    return OutOfFold(
        logits=np.concatenate([each.scores.logits for each in outer])[order],
        probabilities=np.concatenate([each.probabilities for each in outer])[order],
        predictions=np.concatenate([each.probabilities >= each.tuned.threshold for each in outer])[order],
        source_scores=tuple(each.scores.source_score for each in outer),
        settings=tuple(each.setting for each in outer),
        final=choose(list(inner.values()), all_labels, criteria)[0],
    )


_PairScores: TypeAlias = Mapping[tuple[int, int], Candidates]


@dataclass(frozen=True, slots=True, eq=False)
class _OuterFold:
    setting: Setting
    tuned: TunedThreshold
    scores: SettingScores
    probabilities: Scores


def _score_pairs(scorer: Scorer, members: Sequence[Rows]) -> _PairScores:
    """For each ordered pair of folds, score the second with the model trained without both; it tunes for the first."""
    everything = np.sort(np.concatenate(members))
    pairs: dict[tuple[int, int], Candidates] = {}
    for one, other in combinations(range(len(members)), 2):
        both = np.concatenate([members[one], members[other]])
        found = scorer(np.setdiff1d(everything, both), both, None)
        size = len(members[one])
        pairs[other, one] = {key: SettingScores(each.logits[:size], each.source_score) for key, each in found.items()}
        pairs[one, other] = {key: SettingScores(each.logits[size:], each.source_score) for key, each in found.items()}
    return pairs


def _score_fold(
    scorer: Scorer,
    pairs: _PairScores,
    members: Sequence[Rows],
    labels: SiteLabels,
    criteria: SelectionCriteria,
    fold: int,
) -> _OuterFold:
    inner = [other for other in range(len(members)) if other != fold]
    tuning = np.concatenate([members[other] for other in inner])
    setting, logits = choose([pairs[fold, other] for other in inner], labels.part(tuning), criteria)
    tuned = tune(logits, labels.part(tuning), criteria.specificity)
    scores = scorer(np.sort(tuning), members[fold], setting)[setting]
    return _OuterFold(setting, tuned, scores, tumour_probabilities(scores.logits, labels.healthy, tuned.temperature))


def choose(candidates: Sequence[Candidates], labels: SiteLabels, criteria: SelectionCriteria) -> tuple[Setting, Logits]:
    """Choose the setting with the lowest loss on tuning scans, each at its best temperature.

    Settings whose source score is too low are excluded; where all are, the one with the highest is taken.

    Returns:
        The setting, and its logits of the tuning scans.
    """
    source = {key: float(np.mean([each[key].source_score for each in candidates])) for key in candidates[0]}
    kept = [key for key, score in source.items() if score >= criteria.min_source_score]
    kept = kept or [max(source, key=source.__getitem__)]
    logits = {key: np.concatenate([each[key].logits for each in candidates]) for key in kept}
    best = min(kept, key=lambda key: _loss(logits[key], labels))
    return best, logits[best]


def _loss(logits: Logits, labels: SiteLabels) -> float:
    temperature = tune(logits, labels, 0.5).temperature
    allowed = np.zeros(logits.shape, dtype=np.bool_)
    allowed[:, labels.healthy] = True
    allowed[labels.tumours] ^= True
    losses = marginal_losses(logits, allowed, temperature)
    return float(losses[labels.tumours].mean() + losses[~labels.tumours].mean())
