"""ROC and precision-recall curves of one class against the rest, and the areas under them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.stats import norm, rankdata

from brainslice.array_types import Float, Int, Real
from brainslice.arrays import Decisions, Groups, Scores
from brainslice.errors import UsageError
from brainslice.metrics.intervals import LEVEL, Interval

Points: TypeAlias = Float[np.ndarray, " points"]
"""One coordinate of each point of a curve."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The points of a curve in order of falling threshold.

    Attributes:
        x: False positive rate (ROC) or recall (precision-recall), rising.
        y: True positive rate (ROC) or precision (precision-recall).
    """

    x: Points
    y: Points


# In all functions below: ``positive`` is True for scans of the class, ``scores`` are higher for likelier ones, both
# ``(n,)``; UsageError if one of the two classes is missing.


def roc(positive: Decisions, scores: Scores) -> Curve:
    """Compute the ROC curve from (0, 0) to (1, 1), without collinear points."""
    hits, alarms = _counts_at_each_threshold(positive, scores)
    x = np.concatenate([[0.0], alarms / (~positive).sum()])
    y = np.concatenate([[0.0], hits / positive.sum()])
    across, up = np.diff(x), np.diff(y)
    bends = np.abs(across[:-1] * up[1:] - across[1:] * up[:-1]) > 0
    kept = np.concatenate([[True], bends, [True]])
    return Curve(x[kept], y[kept])


def precision_recall(positive: Decisions, scores: Scores) -> Curve:
    """Compute the precision-recall curve at the thresholds at which the recall changes."""
    hits, alarms = _counts_at_each_threshold(positive, scores)
    changes = np.diff(hits, prepend=0) > 0
    hits, alarms = hits[changes], alarms[changes]
    precision = hits / (hits + alarms)
    recall = hits / positive.sum()
    return Curve(np.concatenate([[0.0], recall]), np.concatenate([precision[:1], precision]))


def placements(positive: Decisions, scores: Scores) -> Scores:
    """Compute for each scan the share of the other class that is ranked correctly against it; ties count half.

    Returns:
        Shares ``(n,)``; their mean over either class is the area under the ROC curve.

    Reference:
        Sun and Xu, Fast Implementation of DeLong's Algorithm, IEEE Signal Processing Letters 2014.
    """
    require_both_classes(positive)
    ranks = rankdata(scores)
    shares = np.empty(len(scores))
    for members in (positive, ~positive):
        shares[members] = (ranks[members] - rankdata(scores[members])) / (~members).sum()
    return np.where(positive, shares, 1 - shares)


def area_under_roc(positive: Decisions, scores: Scores) -> float:
    """Compute the probability that a positive scan is ranked above a negative one; ties count half."""
    return float(placements(positive, scores)[positive].mean())


def delong(
    positive: Decisions, scores: Scores, groups: Groups | None = None, level: float = LEVEL
) -> tuple[float, Interval | None]:
    """Compute the area under the ROC curve with DeLong's interval on the logit scale, by group if groups are given.

    Returns:
        The area, and its interval; None for a perfect (or perfectly wrong) ranking, or if one class has one group.

    Raises:
        UsageError: One of the two classes is missing.

    Reference:
        DeLong et al., Biometrics 1988; Obuchowski, Biometrics 1997, for groups; Pepe, The
        Statistical Evaluation of Medical Tests, 2003, section 5.2, for the logit scale.
    """
    shares = placements(positive, scores)
    area = float(shares[positive].mean())
    members = np.arange(len(scores)) if groups is None else np.unique(groups, return_inverse=True)[1]
    variance = _variance_of_area(shares - area, positive, members)
    if variance is None or variance <= 0 or not 0 < area < 1:
        return area, None
    centre = math.log(area / (1 - area))
    margin = float(norm.ppf((1 + level) / 2)) * math.sqrt(variance) / (area * (1 - area))
    units = "scans taken as independent" if groups is None else f"{members.max() + 1} groups"
    low, high = (1 / (1 + math.exp(-end)) for end in (centre - margin, centre + margin))
    return area, Interval(low, high, level, f"DeLong on the logit scale ({units})")


def _variance_of_area(deviations: Scores, positive: Decisions, members: Groups) -> float | None:
    """Sum squares and products of the groups' contributions to the area; None if one class has one group."""
    groups = int(members.max()) + 1
    sums, counts = [], []
    for inside in (positive, ~positive):
        sums.append(np.bincount(members[inside], weights=deviations[inside] / inside.sum(), minlength=groups))
        counts.append(len(np.unique(members[inside])))
    if min(counts) == 1:
        return None
    squares = sum(count / (count - 1) * float(part @ part) for part, count in zip(sums, counts, strict=True))
    return squares + 2 * groups / (groups - 1) * float(sums[0] @ sums[1])


def average_precision(positive: Decisions, scores: Scores) -> float:
    """Average the precision over the steps in recall, without interpolation."""
    curve = precision_recall(positive, scores)
    return float((np.diff(curve.x) * curve.y[1:]).sum())


@dataclass(frozen=True, slots=True, eq=False)
class GroupedRanking:
    """A ranking counted by group, so that the average precision of a bootstrap draw is a matrix product.

    Attributes:
        hits: Positives of each group ranked as high as each positive or higher ``(groups, positives)``.
        predicted: Scans of each group ranked so ``(groups, positives)``.
        owners: The group of each positive ``(positives,)``.
    """

    hits: Float[np.ndarray, "groups positives"]
    predicted: Float[np.ndarray, "groups positives"]
    owners: Int[np.ndarray, " positives"]


def rank_by_group(positive: Decisions, scores: Scores, members: Groups) -> GroupedRanking:
    """Count, for each group (numbered from 0), the scans ranked at or above each positive."""
    require_both_classes(positive)
    targets = -scores[positive]

    def counts(kept: Decisions) -> Float[np.ndarray, "groups positives"]:
        ordered = (np.sort(-scores[kept & (members == group)]) for group in range(int(members.max()) + 1))
        return np.stack([np.searchsorted(one, targets, side="right") for one in ordered]).astype(np.float64)

    return GroupedRanking(counts(positive), counts(np.ones_like(positive)), members[positive])


def average_precision_of_each(
    ranking: GroupedRanking, multiplicities: Real[np.ndarray, "draws groups"]
) -> Float[np.ndarray, " draws"]:
    """Compute the average precision of each draw of groups; NaN for a draw without positives."""
    counts = multiplicities.astype(np.float64)
    own = counts[:, ranking.owners]
    hits, predicted = counts @ ranking.hits, counts @ ranking.predicted
    precision = np.divide(hits, predicted, out=np.zeros_like(hits), where=predicted > 0)
    sums, total = (own * precision).sum(axis=1), own.sum(axis=1)
    return np.asarray(np.divide(sums, total, out=np.full(len(sums), np.nan), where=total > 0))


def require_both_classes(positive: Decisions) -> None:
    """Raise ``UsageError`` if all scans are positive, or none is."""
    if positive.all() or not positive.any():
        msg = f"a curve needs positive and negative scans, got {positive.sum()} positive of {len(positive)}"
        raise UsageError(msg)


def _counts_at_each_threshold(positive: Decisions, scores: Scores) -> tuple[Points, Points]:
    """Count true and false positives at every distinct score ``(thresholds,)``, in falling order."""
    require_both_classes(positive)
    order = np.argsort(-scores, kind="stable")
    last_of_ties = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = positive[order].cumsum()[last_of_ties].astype(np.float64)
    return hits, last_of_ties + 1.0 - hits
