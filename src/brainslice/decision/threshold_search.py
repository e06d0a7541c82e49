"""Where to cut P(tumour): thresholds that reach a goal on tuning scans, with or without a guarantee.

A scan is called a tumour from the threshold on. Only where a threshold lies between two neighbouring scores matters
for the scans at hand; it is put half-way, so that no rounding decides about a scan.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias

import numpy as np
from jaxtyping import Float

from brainslice.arrays import Decisions, Groups, Scores
from brainslice.decision.operating_point import TARGETS, Criterion, Guarantee, Target, Unit
from brainslice.errors import CalibrationError

CONFIDENCE: Final = 0.9
"""How probable it is that a guaranteed rate is reached, unless told otherwise."""

Thresholds: TypeAlias = Float[np.ndarray, " cuts"]
"""A number for each place at which scores can be cut."""

_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class TumourScores:
    """What a model said about scans whose truth is known.

    Attributes:
        scores: P(tumour) of each scan ``(n,)``.
        tumour: Which of them show a tumour ``(n,)``; some do and some do not.
        groups: The group of each scan ``(n,)``.
    """

    scores: Scores
    tumour: Decisions
    groups: Groups

    def __post_init__(self) -> None:
        """Refuse scans that no threshold can be chosen on."""
        if not len(self.scores) == len(self.tumour) == len(self.groups):
            lengths = (len(self.scores), len(self.tumour), len(self.groups))
            msg = f"scores, truth and groups must be of the same scans, got {lengths}"
            raise CalibrationError(msg)
        if self.tumour.all() or not self.tumour.any():
            found = f"{int(self.tumour.sum())} tumours of {len(self.tumour)} scans"
            msg = f"a threshold needs tuning scans with and without tumours, got {found}; add the other kind"
            raise CalibrationError(msg)

    @property
    def prevalence(self) -> float:
        """The share of tumours among these scans."""
        return float(self.tumour.mean())

    def part(self, kept: Decisions) -> TumourScores:
        """Keep some of the scans ``(n,)``."""
        return TumourScores(self.scores[kept], self.tumour[kept], self.groups[kept])


@dataclass(frozen=True, slots=True)
class Assurance:
    """What kind of guarantee is asked for.

    Attributes:
        unit: What it counts.
        confidence: The probability with which the promised rate is to be reached.
        seed: Draws the scan of each group, where one is drawn.
    """

    unit: Unit = Unit.SCAN
    confidence: float = CONFIDENCE
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse certainty."""
        if not 0.0 < self.confidence < 1.0:
            msg = f"the confidence of a guarantee must be above 0 and below 1, got {self.confidence!r}"
            raise CalibrationError(msg)


@dataclass(frozen=True, slots=True)
class SelectedThreshold:
    """A threshold that was found.

    Attributes:
        threshold: P(tumour) from which a scan is called a tumour.
        guarantee: What is guaranteed of it; None where nothing is.
    """

    threshold: float
    guarantee: Guarantee | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """All ways of cutting the scores, from calling every scan a tumour to calling none one.

    Attributes:
        thresholds: One for each way, rising.
        edges: The lowest score called a tumour, infinite where none is.
        sensitivity: Share of tumours called so.
        specificity: Share of healthy scans called so.
    """

    thresholds: Thresholds
    edges: Thresholds
    sensitivity: Thresholds
    specificity: Thresholds


def search_threshold(goal: Target, tuning: TumourScores, prevalence: float | None = None) -> SelectedThreshold:
    """Find the threshold that reaches a goal on the tuning scans; it promises nothing about others.

    For a target sensitivity this is the highest threshold that still reaches it, for a target specificity the lowest.
    Costs are ``r·π·(1 - sensitivity) + (1 - π)·(1 - specificity)`` at the ratio ``r`` and the prevalence ``π``; net
    benefit at the threshold probability ``p`` is largest where costs are least at the ratio ``(1 - p)/p``. Among
    equals the more sensitive one is taken.

    Args:
        goal: What to reach.
        tuning: The scans.
        prevalence: The share of tumours to weigh costs at; that of the scans where None.

    Raises:
        CalibrationError: No threshold reaches it, since healthy scans are called tumours with certainty.

    Reference:
        Youden, Index for Rating Diagnostic Tests, Cancer 1950; Vickers and Elkin, Decision Curve Analysis, Medical
        Decision Making 2006.
    """
    places = _places(tuning)
    if goal.criterion in TARGETS:
        return SelectedThreshold(_reaching(goal, places))
    share = tuning.prevalence if prevalence is None else prevalence
    weight = _weight_of_sensitivity(goal, share)
    worth = weight * places.sensitivity + (1 - weight) * places.specificity
    return SelectedThreshold(float(places.thresholds[int(np.argmax(worth >= worth.max() - _ROUNDING))]))


def guaranteed_threshold(goal: Target, tuning: TumourScores, assurance: Assurance) -> SelectedThreshold:
    """Find a threshold whose rate on new groups reaches the target, with the probability asked for.

    Each group gives one score, so that the scores are independent: that of a scan drawn from it, or that of its worst
    scan. The threshold stands at the ``k``-th worst of these ``m`` scores, ``k`` being the largest number for which
    ``P(Binomial(m, 1 - target) >= k)`` is at least the confidence. Nothing is assumed of how scores are distributed,
    only that new groups come from where these came from.

    Args:
        goal: A target sensitivity or specificity.
        tuning: The scans; they must have chosen nothing before.
        assurance: What kind of guarantee.

    Raises:
        CalibrationError: There are too few groups for the promise, or the goal is none that can be promised.

    Reference:
        Wilks, Determination of Sample Sizes for Setting Tolerance Limits, Annals of Mathematical Statistics 1941;
        Angelopoulos et al., Learn then Test, Annals of Applied Statistics 2025, of which this is the exact case.
    """
    if goal.criterion not in TARGETS or goal.value is None:
        msg = f"only a target sensitivity or specificity can be guaranteed, got {goal.criterion.value}; leave it out"
        raise CalibrationError(msg)
    tumours = goal.criterion is Criterion.SENSITIVITY
    # Turned round, a healthy scan's high score is as bad as a tumour's low one.
    sign = 1.0 if tumours else -1.0
    of_kind = tuning.tumour == tumours
    units = np.sort(_one_each(sign * tuning.scores[of_kind], tuning.groups[of_kind], assurance))
    rank = guaranteed_rank(len(units), goal.value, assurance.confidence)
    if rank == 0:
        kind = "tumour" if tumours else "healthy"
        wanted = least_units(goal.value, assurance.confidence)
        msg = (
            f"{goal.criterion.value} {goal.value:g} guaranteed with {assurance.confidence:.0%} probability needs at "
            f"least {wanted} groups of {kind} scans, got {len(units)}; add scans, or lower the target"
        )
        raise CalibrationError(msg)
    places = _places(tuning)
    # A tumour at the edge is still called one; a healthy scan there must not be.
    side = int(np.searchsorted(places.edges, sign * units[rank - 1], side="left" if tumours else "right"))
    if side == len(places.edges):
        _refuse_certainty(goal)
    guarantee = Guarantee(assurance.confidence, assurance.unit, len(units), rank, assurance.seed)
    return SelectedThreshold(float(places.thresholds[side]), guarantee)


def guaranteed_rank(units: int, target: float, confidence: float) -> int:
    """Find the largest ``k`` with ``P(Binomial(units, 1 - target) >= k) >= confidence``; 0 where there is none."""
    return int((_binomial_tails(units, 1.0 - target)[1:] >= confidence).sum())


def least_units(target: float, confidence: float) -> int:
    """Count the groups without which nothing can be promised: ``ln(1 - confidence) / ln(target)``."""
    return math.ceil(math.log1p(-confidence) / math.log(target) - _ROUNDING)


def _binomial_tails(n: int, share: float) -> np.ndarray:
    """Give ``P(Binomial(n, share) >= k)`` for ``k`` from 0 to ``n``."""
    ways = np.concatenate([[0.0], np.cumsum(np.log(np.arange(n, 0, -1.0)) - np.log(np.arange(1.0, n + 1)))])
    counts = np.arange(n + 1)
    chances = np.exp(ways + counts * math.log(share) + (n - counts) * math.log1p(-share))
    return np.asarray(chances[::-1].cumsum()[::-1])


def _one_each(scores: Scores, groups: Groups, assurance: Assurance) -> np.ndarray:
    """Take one score of each group: the worst, or that of a scan drawn from it."""
    order = np.random.default_rng(assurance.seed).permutation(len(scores))
    if assurance.unit is Unit.GROUP:
        order = np.argsort(scores, kind="stable")
    firsts = np.unique(groups[order], return_index=True)[1]
    return np.asarray(scores[order][firsts])


def _places(tuning: TumourScores) -> _Places:
    scores = np.unique(tuning.scores.astype(np.float64))
    below = np.concatenate([[0.0], scores])
    above = np.concatenate([scores, [1.0]])
    half = below + (above - below) / 2
    # Neighbouring numbers have no number between them.
    thresholds = np.where(half > below, half, above)
    edges = np.concatenate([scores, [np.inf]])
    if scores[-1] >= 1.0:
        # No threshold lies above certainty.
        thresholds, edges = thresholds[:-1], edges[:-1]
    called = np.searchsorted(np.sort(tuning.scores[tuning.tumour]), edges)
    cleared = np.searchsorted(np.sort(tuning.scores[~tuning.tumour]), edges)
    return _Places(thresholds, edges, 1.0 - called / tuning.tumour.sum(), cleared / (~tuning.tumour).sum())


def _reaching(goal: Target, places: _Places) -> float:
    target = 0.0 if goal.value is None else goal.value - _ROUNDING
    if goal.criterion is Criterion.SENSITIVITY:
        return float(places.thresholds[np.flatnonzero(places.sensitivity >= target)[-1]])
    reached = np.flatnonzero(places.specificity >= target)
    if not len(reached):
        _refuse_certainty(goal)
    return float(places.thresholds[reached[0]])


def _weight_of_sensitivity(goal: Target, prevalence: float) -> float:
    """How much sensitivity counts where sensitivity and specificity together count 1."""
    if goal.value is None:
        return 0.5
    ratio = goal.value if goal.criterion is Criterion.COST else (1 - goal.value) / goal.value
    missed, alarmed = ratio * prevalence, 1 - prevalence
    return missed / (missed + alarmed)


def _refuse_certainty(goal: Target) -> NoReturn:
    msg = (
        f"{goal.description}: no threshold reaches that, since healthy tuning scans are called tumours with certainty; "
        "lower the target or train a better model"
    )
    raise CalibrationError(msg)
