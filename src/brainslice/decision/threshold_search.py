"""Search for thresholds on P(tumour) that reach a target on tuning scans, with or without a guarantee.

A scan is predicted as a tumour if its score is at least the threshold. Thresholds lie half-way between neighbouring
scores, so that rounding does not change predictions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias

import numpy as np

from brainslice.array_types import Float
from brainslice.arrays import Decisions, Groups, Scores
from brainslice.decision.operating_point import TARGETS, Criterion, Guarantee, Target, Unit
from brainslice.errors import CalibrationError

CONFIDENCE: Final = 0.9
"""The default probability that a guaranteed rate is reached."""

Thresholds: TypeAlias = Float[np.ndarray, " thresholds"]
"""A number for each candidate threshold."""

_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class TumourScores:
    """Scores and truth of labelled scans.

    Attributes:
        scores: P(tumour) of each scan ``(n,)``.
        tumour: Which of them show a tumour ``(n,)``; both classes must occur.
        groups: The group of each scan ``(n,)``.
    """

    scores: Scores
    tumour: Decisions
    groups: Groups

    def __post_init__(self) -> None:
        if not len(self.scores) == len(self.tumour) == len(self.groups):
            lengths = (len(self.scores), len(self.tumour), len(self.groups))
            msg = f"scores, truth and groups must be of the same scans, got {lengths}"
            raise CalibrationError(msg)
        if self.tumour.all() or not self.tumour.any():
            found = f"{int(self.tumour.sum())} tumours of {len(self.tumour)} scans"
            msg = f"a threshold needs tuning scans with and without tumours, got {found}; add the other class"
            raise CalibrationError(msg)

    @property
    def prevalence(self) -> float:
        """The share of tumours among these scans."""
        return float(self.tumour.mean())

    def part(self, kept: Decisions) -> TumourScores:
        """Return the scans selected by a mask ``(n,)``."""
        return TumourScores(self.scores[kept], self.tumour[kept], self.groups[kept])


@dataclass(frozen=True, slots=True)
class Assurance:
    """The kind of guarantee to compute.

    Attributes:
        unit: How a group is reduced to one score.
        confidence: The probability with which the target rate is reached.
        seed: Seed of the random scan of each group.
    """

    unit: Unit = Unit.SCAN
    confidence: float = CONFIDENCE
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.confidence < 1.0:
            msg = f"the confidence of a guarantee must be above 0 and below 1, got {self.confidence!r}"
            raise CalibrationError(msg)


@dataclass(frozen=True, slots=True)
class SelectedThreshold:
    """The result of a search.

    Attributes:
        threshold: P(tumour) from which a scan is predicted as a tumour.
        guarantee: Its guarantee, if any.
    """

    threshold: float
    guarantee: Guarantee | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Candidates:
    """All distinct thresholds, from predicting every scan as a tumour to none.

    Attributes:
        thresholds: Rising.
        edges: The lowest score predicted as a tumour, infinite for none.
        sensitivity: The share of tumours predicted as tumours.
        specificity: The share of healthy scans predicted as healthy.
    """

    thresholds: Thresholds
    edges: Thresholds
    sensitivity: Thresholds
    specificity: Thresholds


def search_threshold(goal: Target, tuning: TumourScores, prevalence: float | None = None) -> SelectedThreshold:
    """Find the threshold that reaches a target on the tuning scans, without guarantee for others.

    For a target sensitivity this is the highest threshold that reaches it, for a target specificity the lowest. Costs
    are ``r·π·(1 - sensitivity) + (1 - π)·(1 - specificity)`` at the ratio ``r`` and the prevalence ``π``; maximum net
    benefit at the threshold probability ``p`` is minimum cost at the ratio ``(1 - p)/p``. Of ties the more sensitive
    is taken.

    Args:
        goal: The target.
        tuning: The scans.
        prevalence: The share of tumours for costs; None for that of the scans.

    Raises:
        CalibrationError: No threshold reaches it, since healthy scans have P(tumour) = 1.

    Reference:
        Youden, Index for Rating Diagnostic Tests, Cancer 1950; Vickers and Elkin, Decision Curve Analysis, Medical
        Decision Making 2006.
    """
    candidates = _candidates(tuning)
    if goal.criterion in TARGETS:
        return SelectedThreshold(_reach_target(goal, candidates))
    share = tuning.prevalence if prevalence is None else prevalence
    weight = _sensitivity_weight(goal, share)
    utility = weight * candidates.sensitivity + (1 - weight) * candidates.specificity
    return SelectedThreshold(float(candidates.thresholds[int(np.argmax(utility >= utility.max() - _ROUNDING))]))


def guaranteed_threshold(goal: Target, tuning: TumourScores, assurance: Assurance) -> SelectedThreshold:
    """Find a threshold whose rate on new groups reaches the target with the given confidence.

    Each group gives one independent score: that of a random scan, or of its worst scan. The threshold is at the
    ``k``-th worst of these ``m`` scores, ``k`` being the largest number for which ``P(Binomial(m, 1 - target) >= k)``
    is at least the confidence. It is distribution-free for new groups of the same population.

    Raises:
        CalibrationError: There are too few groups, or the goal is no target rate.

    Reference:
        Wilks, Determination of Sample Sizes for Setting Tolerance Limits, Annals of Mathematical Statistics 1941;
        Angelopoulos et al., Learn then Test, Annals of Applied Statistics 2025, of which this is the exact case.
    """
    if goal.criterion not in TARGETS or goal.value is None:
        msg = f"only a target sensitivity or specificity can be guaranteed, got {goal.criterion.value}; leave it out"
        raise CalibrationError(msg)
    tumours = goal.criterion is Criterion.SENSITIVITY
    # With the sign reversed, low scores are the errors of both classes.
    sign = 1.0 if tumours else -1.0
    members = tuning.tumour == tumours
    units = np.sort(_group_scores(sign * tuning.scores[members], tuning.groups[members], assurance))
    rank = guaranteed_rank(len(units), goal.value, assurance.confidence)
    if rank == 0:
        kind = "tumour" if tumours else "healthy"
        needed = min_units(goal.value, assurance.confidence)
        msg = (
            f"{goal.criterion.value} {goal.value:g} guaranteed with {assurance.confidence:.0%} probability needs at "
            f"least {needed} groups of {kind} scans, got {len(units)}; add scans, or lower the target"
        )
        raise CalibrationError(msg)
    candidates = _candidates(tuning)
    # A tumour at the edge is predicted as a tumour; a healthy scan there must not be.
    index = int(np.searchsorted(candidates.edges, sign * units[rank - 1], side="left" if tumours else "right"))
    if index == len(candidates.edges):
        _raise_unreachable(goal)
    guarantee = Guarantee(assurance.confidence, assurance.unit, len(units), rank, assurance.seed)
    return SelectedThreshold(float(candidates.thresholds[index]), guarantee)


def guaranteed_rank(units: int, target: float, confidence: float) -> int:
    """Find the largest ``k`` with ``P(Binomial(units, 1 - target) >= k) >= confidence``, or 0."""
    return int((_binomial_tails(units, 1.0 - target)[1:] >= confidence).sum())


def min_units(target: float, confidence: float) -> int:
    """Return the minimum number of groups of a guarantee: ``ln(1 - confidence) / ln(target)``."""
    return math.ceil(math.log1p(-confidence) / math.log(target) - _ROUNDING)


def _binomial_tails(n: int, share: float) -> np.ndarray:
    """Compute ``P(Binomial(n, share) >= k)`` for ``k`` from 0 to ``n``."""
    log_binomials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(n, 0, -1.0)) - np.log(np.arange(1.0, n + 1)))])
    counts = np.arange(n + 1)
    probabilities = np.exp(log_binomials + counts * math.log(share) + (n - counts) * math.log1p(-share))
    return np.asarray(probabilities[::-1].cumsum()[::-1])


def _group_scores(scores: Scores, groups: Groups, assurance: Assurance) -> np.ndarray:
    """Return one score of each group: the lowest, or that of a random scan."""
    order = np.random.default_rng(assurance.seed).permutation(len(scores))
    if assurance.unit is Unit.GROUP:
        order = np.argsort(scores, kind="stable")
    firsts = np.unique(groups[order], return_index=True)[1]
    return np.asarray(scores[order][firsts])


def _candidates(tuning: TumourScores) -> _Candidates:
    scores = np.unique(tuning.scores.astype(np.float64))
    below = np.concatenate([[0.0], scores])
    above = np.concatenate([scores, [1.0]])
    middle = below + (above - below) / 2
    # Adjacent floating-point numbers have no number between them.
    thresholds = np.where(middle > below, middle, above)
    edges = np.concatenate([scores, [np.inf]])
    if scores[-1] >= 1.0:
        # No threshold lies above 1.
        thresholds, edges = thresholds[:-1], edges[:-1]
    missed = np.searchsorted(np.sort(tuning.scores[tuning.tumour]), edges)
    rejected = np.searchsorted(np.sort(tuning.scores[~tuning.tumour]), edges)
    return _Candidates(thresholds, edges, 1.0 - missed / tuning.tumour.sum(), rejected / (~tuning.tumour).sum())


def _reach_target(goal: Target, candidates: _Candidates) -> float:
    target = 0.0 if goal.value is None else goal.value - _ROUNDING
    if goal.criterion is Criterion.SENSITIVITY:
        return float(candidates.thresholds[np.flatnonzero(candidates.sensitivity >= target)[-1]])
    reached = np.flatnonzero(candidates.specificity >= target)
    if not len(reached):
        _raise_unreachable(goal)
    return float(candidates.thresholds[reached[0]])


def _sensitivity_weight(goal: Target, prevalence: float) -> float:
    """Return the weight of sensitivity; that of specificity is one minus it."""
    if goal.value is None:
        return 0.5
    ratio = goal.value if goal.criterion is Criterion.COST else (1 - goal.value) / goal.value
    cost = ratio * prevalence
    return cost / (cost + 1 - prevalence)


def _raise_unreachable(goal: Target) -> NoReturn:
    msg = (
        f"{goal.description}: no threshold reaches that, since healthy tuning scans have P(tumour) = 1; "
        "lower the target or train a better model"
    )
    raise CalibrationError(msg)
