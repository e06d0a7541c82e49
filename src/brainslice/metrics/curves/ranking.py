"""One class against the rest: ROC and precision-recall curves and the areas under them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int, Real
from scipy.stats import rankdata

from brainslice.arrays import Decisions, Groups, Scores
from brainslice.errors import UsageError

Points: TypeAlias = Float[np.ndarray, " points"]
"""One coordinate of each point of a curve."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The points a classifier reaches as its threshold falls.

    Attributes:
        x: False positive rate (ROC) or recall (precision-recall), rising.
        y: True positive rate (ROC) or precision (precision-recall).
    """

    x: Points
    y: Points


def roc(positive: Decisions, scores: Scores) -> Curve:
    """Trace true against false positive rate, from (0, 0) to (1, 1), without points on straight stretches.

    Args:
        positive: Which scans have what is looked for ``(n,)``; some do and some do not.
        scores: Larger where it is likelier ``(n,)``.

    Raises:
        UsageError: One of the two kinds is missing.
    """
    hits, alarms = _counts_at_each_threshold(positive, scores)
    x = np.concatenate([[0.0], alarms / (~positive).sum()])
    y = np.concatenate([[0.0], hits / positive.sum()])
    return _without_straight_stretches(Curve(x, y))


def precision_recall(positive: Decisions, scores: Scores) -> Curve:
    """Trace precision against recall; only points at which the recall changes are kept.

    Args:
        positive: Which scans have what is looked for ``(n,)``; some do and some do not.
        scores: Larger where it is likelier ``(n,)``.

    Raises:
        UsageError: One of the two kinds is missing.
    """
    hits, alarms = _counts_at_each_threshold(positive, scores)
    climbs = np.diff(hits, prepend=0) > 0
    hits, alarms = hits[climbs], alarms[climbs]
    precision = hits / (hits + alarms)
    recall = hits / positive.sum()
    return Curve(np.concatenate([[0.0], recall]), np.concatenate([precision[:1], precision]))


def placements(positive: Decisions, scores: Scores) -> Scores:
    """Say for each scan which share of the other kind it is ranked rightly against; ties count half.

    Args:
        positive: Which scans have what is looked for ``(n,)``; some do and some do not.
        scores: Larger where it is likelier ``(n,)``.

    Returns:
        Shares ``(n,)``; their mean over either kind is the area under the ROC curve.

    Raises:
        UsageError: One of the two kinds is missing.

    Reference:
        Sun and Xu, Fast Implementation of DeLong's Algorithm, IEEE Signal Processing Letters 2014.
    """
    require_both_classes(positive)
    ranks = rankdata(scores)
    shares = np.empty(len(scores))
    for kind in (positive, ~positive):
        shares[kind] = (ranks[kind] - rankdata(scores[kind])) / (~kind).sum()
    return np.where(positive, shares, 1 - shares)


def area_under_roc(positive: Decisions, scores: Scores) -> float:
    """Give the chance that a positive scan is ranked above a negative one; ties count half.

    Raises:
        UsageError: One of the two kinds is missing.
    """
    return float(placements(positive, scores)[positive].mean())


def average_precision(positive: Decisions, scores: Scores) -> float:
    """Average the precision over the steps in recall, without interpolation.

    Raises:
        UsageError: One of the two kinds is missing.
    """
    curve = precision_recall(positive, scores)
    return float((np.diff(curve.x) * curve.y[1:]).sum())


@dataclass(frozen=True, slots=True, eq=False)
class GroupedRanking:
    """A ranking of scans, told group by group, so that draws of groups are matrix products.

    Attributes:
        hits: Positives of each group ranked as high as each positive or higher ``(groups, positives)``.
        called: Scans of each group ranked so ``(groups, positives)``.
        owners: The group of each positive ``(positives,)``.
    """

    hits: Float[np.ndarray, "groups positives"]
    called: Float[np.ndarray, "groups positives"]
    owners: Int[np.ndarray, " positives"]


def rank_by_group(positive: Decisions, scores: Scores, members: Groups) -> GroupedRanking:
    """Rank scans and count, for each group, what stands at or above each positive.

    Args:
        positive: Which scans have what is looked for ``(n,)``; some do and some do not.
        scores: Larger where it is likelier ``(n,)``.
        members: The group of each scan as a number from 0 ``(n,)``.

    Raises:
        UsageError: One of the two kinds is missing.
    """
    require_both_classes(positive)
    found = range(int(members.max()) + 1)
    targets = -scores[positive]

    def standing(kept: Decisions) -> Float[np.ndarray, "groups positives"]:
        inside = (np.sort(-scores[kept & (members == group)]) for group in found)
        return np.stack([np.searchsorted(one, targets, side="right") for one in inside]).astype(np.float64)

    everyone = np.ones_like(positive)
    return GroupedRanking(standing(positive), standing(everyone), members[positive])


def average_precision_of_each(
    ranking: GroupedRanking, multiplicities: Real[np.ndarray, "draws groups"]
) -> Float[np.ndarray, " draws"]:
    """Give the average precision of many draws of groups; NaN where a draw holds no positive."""
    counts = multiplicities.astype(np.float64)
    own = counts[:, ranking.owners]
    hits, called = counts @ ranking.hits, counts @ ranking.called
    precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
    sums, total = (own * precision).sum(axis=1), own.sum(axis=1)
    return np.asarray(np.divide(sums, total, out=np.full(len(sums), np.nan), where=total > 0))


def require_both_classes(positive: Decisions) -> None:
    """Refuse scans that all have what is looked for, or all have not.

    Raises:
        UsageError: One of the two kinds is missing.
    """
    if positive.all() or not positive.any():
        msg = f"a curve needs scans of both kinds, got {positive.sum()} positive of {len(positive)}"
        raise UsageError(msg)


def _counts_at_each_threshold(positive: Decisions, scores: Scores) -> tuple[Points, Points]:
    """Count true and false positives at every different score ``(thresholds,)``, from the largest down."""
    require_both_classes(positive)
    order = np.argsort(-scores, kind="stable")
    ends = _ends_of_ties(scores[order])
    hits = positive[order].cumsum()[ends].astype(np.float64)
    return hits, ends + 1.0 - hits


def _ends_of_ties(ordered: Scores) -> np.ndarray:
    return np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)


def _without_straight_stretches(curve: Curve) -> Curve:
    across, up = np.diff(curve.x), np.diff(curve.y)
    bends = np.abs(across[:-1] * up[1:] - across[1:] * up[:-1]) > 0
    kept = np.concatenate([[True], bends, [True]])
    return Curve(curve.x[kept], curve.y[kept])
