"""Nothing that is reported trained or chose: inner folds choose, outer folds are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np
from jaxtyping import Int

from brainslice.arrays import Decisions, Logits, Scores
from brainslice.decision.marginal_temperature import fit_marginal_temperature, marginal_losses, tumour_probabilities
from brainslice.decision.operating_point import Criterion, Target
from brainslice.decision.temperature import Temperature
from brainslice.decision.threshold_search import TumourScores, search_threshold
from brainslice.errors import CalibrationError

Folds: TypeAlias = Int[np.ndarray, " n"]
Rows: TypeAlias = Int[np.ndarray, " _"]


@dataclass(frozen=True, slots=True)
class Setting:
    """What inner folds choose among.

    Attributes:
        rate: The learning rate.
        checkpoint: At which look training stops, from 0.
    """

    rate: float
    checkpoint: int


@dataclass(frozen=True, slots=True, eq=False)
class SettingScores:
    """What one setting's model said of scans that did not train it.

    Attributes:
        logits: Of the site's scans ``(m, k)``.
        source_score: Macro F1 on the source scans that are watched.
    """

    logits: Logits
    source_score: float


Candidates: TypeAlias = Mapping[Setting, SettingScores]
Study: TypeAlias = Callable[[Rows, Rows, Setting | None], Candidates]
"""Trains on some of the site's scans and says what came of it for others: of every setting, or of one at least."""


@dataclass(frozen=True, slots=True)
class SiteLabels:
    """What is known of the site's scans.

    Attributes:
        tumours: Whether each is a tumour ``(n,)``.
        groups: The group of each ``(n,)``.
        healthy: The place of the healthy class.
    """

    tumours: Decisions
    groups: Int[np.ndarray, " n"]
    healthy: int

    def part(self, rows: Rows) -> SiteLabels:
        """Keep some of the scans."""
        return SiteLabels(self.tumours[rows], self.groups[rows], self.healthy)


@dataclass(frozen=True, slots=True)
class SelectionCriteria:
    """How a model is tuned.

    Attributes:
        specificity: What the threshold has to reach on tuning scans.
        least_source_score: The macro F1 on source scans below which a setting is not taken.
    """

    specificity: float
    least_source_score: float


@dataclass(frozen=True, slots=True)
class TunedThreshold:
    """A temperature and a threshold, both from tuning scans."""

    temperature: Temperature
    threshold: float


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFold:
    """What was said of each scan by a model that it neither trained nor tuned.

    Attributes:
        logits: Raw scores ``(n, k)``.
        probabilities: P(tumour) at the temperature of the scan's fold ``(n,)``.
        predictions: Which scans were called tumours, at the threshold of their fold ``(n,)``.
        source_scores: Macro F1 on the watched source scans, a fold each.
        settings: What was chosen, a fold each.
        final: What is chosen for a model that trains on all scans.
    """

    logits: Logits
    probabilities: Scores
    predictions: Decisions
    source_scores: tuple[float, ...]
    settings: tuple[Setting, ...]
    final: Setting


def tune(logits: Logits, truth: SiteLabels, specificity: float) -> TunedThreshold:
    """Fit a temperature, then find the lowest threshold that reaches a specificity.

    Args:
        logits: Of tuning scans ``(n, k)``.
        truth: What is known of them.
        specificity: What is to be reached.
    """
    try:
        temperature = fit_marginal_temperature(logits, truth.tumours, truth.healthy)
    except CalibrationError:
        temperature = Temperature(1.0)
    return TunedThreshold(temperature, find_threshold(logits, truth, temperature, specificity))


def find_threshold(logits: Logits, truth: SiteLabels, temperature: Temperature, specificity: float) -> float:
    """Find the lowest threshold on P(tumour) that reaches a specificity on tuning scans."""
    chances = tumour_probabilities(logits, truth.healthy, temperature)
    tuning = TumourScores(chances, truth.tumours, truth.groups)
    return search_threshold(Target(Criterion.SPECIFICITY, specificity), tuning).threshold


def nested_cross_validation(study: Study, folds: Folds, truth: SiteLabels, terms: SelectionCriteria) -> OutOfFold:
    """Judge a way of training by folds, with everything that is chosen chosen by folds within.

    For each two folds one model is trained on all others. What it says of the one chooses for the other: so each outer
    fold is tuned on scans of all other folds, none of which trained the model that speaks of it.

    Args:
        study: Trains and tells.
        folds: The fold of each scan ``(n,)``, three or more, groups never divided.
        truth: What is known of the scans.
        terms: How to tune.
    """
    count = int(folds.max()) + 1
    members = [np.flatnonzero(folds == fold) for fold in range(count)]
    heard = _listen_to_pairs(study, members)
    outer = [_judge(study, heard, members, truth, terms, fold) for fold in range(count)]
    order = np.argsort(np.concatenate(members))
    pairs = list(heard)
    everyone = truth.part(np.concatenate([members[other] for _, other in pairs]))
    return OutOfFold(
        logits=np.concatenate([each.said.logits for each in outer])[order],
        probabilities=np.concatenate([each.chances for each in outer])[order],
        predictions=np.concatenate([each.chances >= each.tuned.threshold for each in outer])[order],
        source_scores=tuple(each.said.source_score for each in outer),
        settings=tuple(each.setting for each in outer),
        final=choose([heard[pair] for pair in pairs], everyone, terms)[0],
    )


_Heard: TypeAlias = Mapping[tuple[int, int], Candidates]


@dataclass(frozen=True, slots=True, eq=False)
class _Outer:
    setting: Setting
    tuned: TunedThreshold
    said: SettingScores
    chances: Scores


def _listen_to_pairs(study: Study, members: Sequence[Rows]) -> _Heard:
    """For each ordered two folds, what the model without both says of the second: it chooses for the first."""
    everyone = np.sort(np.concatenate(members))
    heard: dict[tuple[int, int], Candidates] = {}
    for one, other in combinations(range(len(members)), 2):
        both = np.concatenate([members[one], members[other]])
        found = study(np.setdiff1d(everyone, both), both, None)
        cut = len(members[one])
        heard[other, one] = {key: SettingScores(said.logits[:cut], said.source_score) for key, said in found.items()}
        heard[one, other] = {key: SettingScores(said.logits[cut:], said.source_score) for key, said in found.items()}
    return heard


def _judge(
    study: Study, heard: _Heard, members: Sequence[Rows], truth: SiteLabels, terms: SelectionCriteria, fold: int
) -> _Outer:
    inner = [other for other in range(len(members)) if other != fold]
    tuning = np.concatenate([members[other] for other in inner])
    setting, said = choose([heard[fold, other] for other in inner], truth.part(tuning), terms)
    tuned = tune(said, truth.part(tuning), terms.specificity)
    judged = study(np.sort(tuning), members[fold], setting)[setting]
    return _Outer(setting, tuned, judged, tumour_probabilities(judged.logits, truth.healthy, tuned.temperature))


def choose(heard: Sequence[Candidates], truth: SiteLabels, terms: SelectionCriteria) -> tuple[Setting, Logits]:
    """Choose the setting under which the labels of tuning scans are likeliest, at its best temperature.

    Settings that forget more of the source than allowed are not taken, unless all do: then the one that forgets least.

    Args:
        heard: What each inner model said, in the order of the tuning scans.
        truth: What is known of the tuning scans.
        terms: How much may be forgotten.

    Returns:
        The setting, and what it said of the tuning scans.
    """
    scored = {
        setting: float(np.mean([candidates[setting].source_score for candidates in heard])) for setting in heard[0]
    }
    kept = [setting for setting, score in scored.items() if score >= terms.least_source_score]
    kept = kept or [max(scored, key=scored.__getitem__)]
    said = {setting: np.concatenate([candidates[setting].logits for candidates in heard]) for setting in kept}
    best = min(kept, key=lambda setting: _loss(said[setting], truth))
    return best, said[best]


def _loss(logits: Logits, truth: SiteLabels) -> float:
    temperature = tune(logits, truth, 0.5).temperature
    allowed = np.zeros(logits.shape, dtype=np.bool_)
    allowed[:, truth.healthy] = True
    allowed[truth.tumours] ^= True
    losses = marginal_losses(logits, allowed, temperature)
    return float(losses[truth.tumours].mean() + losses[~truth.tumours].mean())
