"""How far off a proportion or an area may be: Wilson's and DeLong's intervals, also for scans in groups.

Slices of one patient resemble each other, so a thousand of them tell less than a thousand patients
would. Every interval here can be told the groups and then widens by what they cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from brainslice.arrays import Decisions, Groups, Scores
from brainslice.errors import UsageError
from brainslice.metrics.curves.ranking import placements

LEVEL = 0.95
"""How often an interval is meant to hold the truth, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the truth lies, as often as the level says.

    Attributes:
        low: The lower end.
        high: The upper end, not below the lower one.
        level: The share of such intervals that hold the truth, between 0 and 1.
        method: How it was found, in words.
    """

    low: float
    high: float
    level: float
    method: str

    def __post_init__(self) -> None:
        """Refuse ends that are no interval."""
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            msg = f"an interval must have two finite ends in order, got {self.low!r} and {self.high!r}"
            raise UsageError(msg)
        if not 0 < self.level < 1:
            msg = f"the level of an interval must lie between 0 and 1, got {self.level!r}"
            raise UsageError(msg)

    def to_json(self) -> dict[str, float | str]:
        """Write the interval in plain types."""
        return {"low": self.low, "high": self.high, "level": self.level, "method": self.method}


def check_proportion(successes: int, n: int) -> None:
    """Refuse counts that make no proportion.

    Raises:
        UsageError: ``successes`` is no part of ``n``, or there is no scan.
    """
    if not 0 <= successes <= n or n < 1:
        msg = f"a proportion must count between 0 and n of at least one scan, got {successes} of {n}"
        raise UsageError(msg)


def wilson(successes: int, n: int, level: float = LEVEL) -> Interval:
    """Bound a proportion of independent scans.

    Args:
        successes: How many of them.
        n: How many scans, at least one.
        level: How often the interval is to hold the truth.

    Raises:
        UsageError: ``successes`` is no part of ``n``.

    Reference:
        Wilson, Probable Inference, the Law of Succession, and Statistical Inference, JASA 1927.
    """
    check_proportion(successes, n)
    low, high = _wilson_ends(successes / n, float(n), level)
    return Interval(low, high, level, "Wilson, scans taken as independent")


def clustered_wilson(successes: Decisions, groups: Groups, level: float = LEVEL) -> Interval:
    """Bound a proportion of scans that come in groups: Wilson's interval at the effective number of scans.

    The number of scans is divided by the design effect, which is how much larger the variance
    between groups is than that of independent scans (never taken as less than one). Where all scans
    agree nothing can be seen of it, and groups are taken to agree within themselves entirely.

    Args:
        successes: Yes or no for each scan ``(n,)``.
        groups: The group of each scan ``(n,)``.
        level: How often the interval is to hold the truth.

    Raises:
        UsageError: There is no scan.

    Reference:
        Rao and Scott, A Simple Method for the Analysis of Clustered Binary Data, Biometrics 1992;
        Korn and Graubard, Survey Methodology 1998, for the correction by the number of groups.
    """
    if len(successes) == 0:
        msg = "a proportion must count between 0 and n of at least one scan, got 0 of 0"
        raise UsageError(msg)
    effective = effective_number(successes, groups, level)
    low, high = _wilson_ends(float(successes.mean()), effective, level)
    found = len(np.unique(groups))
    return Interval(low, high, level, f"Wilson at an effective n of {effective:.1f} ({found} groups)")


def effective_number(successes: Decisions, groups: Groups, level: float = LEVEL) -> float:
    """Say how many independent scans would tell as much about a proportion as these in their groups."""
    members = np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(members)
    n, found = len(successes), len(sizes)
    share = float(successes.mean())
    if found == 1:
        return 1.0
    if share in {0.0, 1.0}:
        return n / max(1.0, float((sizes**2).sum()) / n)
    surplus = np.bincount(members, weights=successes - share)
    between = found / (found - 1) * float((surplus**2).sum()) / n**2
    design = max(1.0, between / (share * (1 - share) / n))
    few_groups = (norm.ppf((1 + level) / 2) / t.ppf((1 + level) / 2, found - 1)) ** 2
    return float(max(1.0, n / design * few_groups))


def delong(
    positive: Decisions, scores: Scores, groups: Groups | None = None, level: float = LEVEL
) -> tuple[float, Interval | None]:
    """Measure the area under the ROC curve and bound it without resampling.

    The variance is DeLong's, summed over groups where they are given; the interval is taken on the
    logit scale, so that it stays within 0 to 1.

    Args:
        positive: Which scans have what is looked for ``(n,)``; some do and some do not.
        scores: Larger where it is likelier ``(n,)``.
        groups: The group of each scan ``(n,)``; None takes scans as independent.
        level: How often the interval is to hold the truth.

    Returns:
        The area, and its interval; None where the scores part the two kinds without fault (or always
        wrongly) or all scans are of one group, for then nothing varies.

    Raises:
        UsageError: One of the two kinds is missing.

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
    reach = float(norm.ppf((1 + level) / 2)) * math.sqrt(variance) / (area * (1 - area))
    whose = "scans taken as independent" if groups is None else f"{members.max() + 1} groups"
    low, high = (1 / (1 + math.exp(-end)) for end in (centre - reach, centre + reach))
    return area, Interval(low, high, level, f"DeLong on the logit scale ({whose})")


def _variance_of_area(deviations: Scores, positive: Decisions, members: Groups) -> float | None:
    """Sum the squares and products of what each group adds to the area; None where one kind has one group."""
    found = int(members.max()) + 1
    sums, counts = [], []
    for kind in (positive, ~positive):
        sums.append(np.bincount(members[kind], weights=deviations[kind] / kind.sum(), minlength=found))
        counts.append(len(np.unique(members[kind])))
    if min(counts) == 1:
        return None
    alone = sum(count / (count - 1) * float(part @ part) for part, count in zip(sums, counts, strict=True))
    return alone + 2 * found / (found - 1) * float(sums[0] @ sums[1])


def _wilson_ends(share: float, n: float, level: float) -> tuple[float, float]:
    z = float(norm.ppf((1 + level) / 2))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    return min(share, max(0.0, centre - reach)), max(share, min(1.0, centre + reach))
