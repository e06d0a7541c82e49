"""Confidence intervals of proportions: Wilson and Clopper-Pearson, for independent and for grouped scans.

Slices of one patient are correlated, so a thousand of them hold less information than a thousand patients. Intervals
by group are therefore taken at an effective number of scans.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import beta, norm, t

from brainslice.arrays import Decisions, Groups
from brainslice.errors import UsageError

LEVEL = 0.95
"""The default confidence level."""

_INDEPENDENT = "scans taken as independent"


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval.

    Attributes:
        low: The lower end.
        high: The upper end, not below the lower one.
        level: The confidence level, between 0 and 1.
        method: A description of the method.
    """

    low: float
    high: float
    level: float
    method: str

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            msg = f"an interval must have two finite ends in order, got {self.low!r} and {self.high!r}"
            raise UsageError(msg)
        if not 0 < self.level < 1:
            msg = f"the level of an interval must lie between 0 and 1, got {self.level!r}"
            raise UsageError(msg)

    def to_json(self) -> dict[str, float | str]:
        """Return the interval as plain types."""
        return asdict(self)


def check_proportion(successes: int, n: int) -> None:
    """Raise ``UsageError`` unless ``0 <= successes <= n`` and ``n >= 1``."""
    if not 0 <= successes <= n or n < 1:
        msg = f"a proportion must count between 0 and n of at least one scan, got {successes} of {n}"
        raise UsageError(msg)


def clustered_wilson(successes: Decisions, groups: Groups, level: float = LEVEL) -> Interval:
    """Compute Wilson's interval of a proportion of grouped scans, at the effective number of scans."""
    check_proportion(int(successes.sum()), len(successes))
    effective = effective_number(successes, groups, level)
    low, high = _wilson_ends(float(successes.mean()), effective, level)
    return Interval(low, high, level, f"Wilson at {_effective_text(effective, groups)}")


def effective_number(successes: Decisions, groups: Groups, level: float = LEVEL) -> float:
    """Compute the number of independent scans with as much information on a proportion as these grouped ones.

    The number of scans is divided by the design effect: the variance between groups relative to that of independent
    scans, at least 1. If all outcomes are equal, it cannot be estimated, and perfect correlation within groups is
    assumed.

    Reference:
        Rao and Scott, A Simple Method for the Analysis of Clustered Binary Data, Biometrics 1992;
        Korn and Graubard, Survey Methodology 1998, for the correction by the number of groups.
    """
    members = np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(members)
    n, count = len(successes), len(sizes)
    share = float(successes.mean())
    if count == 1:
        return 1.0
    if share in {0.0, 1.0}:
        return n / max(1.0, float((sizes**2).sum()) / n)
    deviations = np.bincount(members, weights=successes - share)
    between = count / (count - 1) * float((deviations**2).sum()) / n**2
    design_effect = max(1.0, between / (share * (1 - share) / n))
    few_groups = (norm.ppf((1 + level) / 2) / t.ppf((1 + level) / 2, count - 1)) ** 2
    return float(max(1.0, n / design_effect * few_groups))


def clopper_pearson(successes: int, n: int, level: float = LEVEL) -> Interval:
    """Compute the exact interval of a proportion of independent scans; its coverage is at least the level.

    Raises:
        UsageError: ``successes`` is not within 0 to ``n``, or ``n`` is below 1.

    Reference:
        Clopper and Pearson, The Use of Confidence or Fiducial Limits, Biometrika 1934.
    """
    check_proportion(successes, n)
    low, high = _clopper_pearson_ends(float(successes), float(n), level)
    return Interval(low, high, level, f"Clopper-Pearson, {_INDEPENDENT}")


def exact_by_group(successes: Decisions, groups: Groups, level: float = LEVEL) -> Interval:
    """Compute the Clopper-Pearson interval of a proportion of grouped scans, at the effective number of scans.

    It is exact if no two scans share a group.

    Raises:
        UsageError: There is no scan.

    Reference:
        Korn and Graubard, Confidence Intervals for Proportions with Small Expected Number of Positive Counts,
        Survey Methodology 1998.
    """
    if len(successes) == len(np.unique(groups)):
        return clopper_pearson(int(successes.sum()), len(successes), level)
    effective = effective_number(successes, groups, level)
    share = float(successes.mean())
    low, high = _clopper_pearson_ends(share * effective, effective, level)
    method = f"Clopper-Pearson at {_effective_text(effective, groups)}"
    return Interval(min(low, share), max(high, share), level, method)


def _effective_text(effective: float, groups: Groups) -> str:
    return f"an effective n of {effective:.1f} ({len(np.unique(groups))} groups)"


def _wilson_ends(share: float, n: float, level: float) -> tuple[float, float]:
    z = float(norm.ppf((1 + level) / 2))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    margin = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    return min(share, max(0.0, centre - margin)), max(share, min(1.0, centre + margin))


def _clopper_pearson_ends(successes: float, n: float, level: float) -> tuple[float, float]:
    tail = (1 - level) / 2
    low = float(beta.ppf(tail, successes, n - successes + 1)) if successes > 0 else 0.0
    high = float(beta.ppf(1 - tail, successes + 1, n - successes)) if successes < n else 1.0
    return low, high
