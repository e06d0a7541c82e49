"""Exact intervals of proportions: Clopper's and Pearson's, also for scans that come in groups."""

from __future__ import annotations

import numpy as np
from scipy.stats import beta

from brainslice.arrays import Decisions, Groups
from brainslice.metrics.intervals.asymptotic import LEVEL, Interval, check_proportion, effective_number


def clopper_pearson(successes: int, n: int, level: float = LEVEL) -> Interval:
    """Bound a proportion of independent scans; it covers the truth at least as often as the level says.

    Args:
        successes: How many of them.
        n: How many scans, at least one.
        level: How often the interval is to hold the truth.

    Raises:
        UsageError: ``successes`` is no part of ``n``.

    Reference:
        Clopper and Pearson, The Use of Confidence or Fiducial Limits, Biometrika 1934.
    """
    check_proportion(successes, n)
    low, high = _ends(float(successes), float(n), level)
    return Interval(low, high, level, "Clopper-Pearson, scans taken as independent")


def exact_by_group(successes: Decisions, groups: Groups, level: float = LEVEL) -> Interval:
    """Bound a proportion of scans that may come in groups.

    Where no two scans share a group this is Clopper's and Pearson's interval. Elsewhere no interval is exact, and
    theirs is taken at the effective number of scans, as Korn and Graubard have it.

    Args:
        successes: Yes or no for each scan ``(n,)``.
        groups: The group of each scan ``(n,)``.
        level: How often the interval is to hold the truth.

    Raises:
        UsageError: There is no scan.

    Reference:
        Korn and Graubard, Confidence Intervals for Proportions with Small Expected Number of Positive Counts,
        Survey Methodology 1998.
    """
    n, found = len(successes), len(np.unique(groups))
    if n == found:
        return clopper_pearson(int(successes.sum()), n, level)
    effective = effective_number(successes, groups, level)
    share = float(successes.mean())
    low, high = _ends(share * effective, effective, level)
    method = f"Clopper-Pearson at an effective n of {effective:.1f} ({found} groups)"
    return Interval(min(low, share), max(high, share), level, method)


def _ends(successes: float, n: float, level: float) -> tuple[float, float]:
    tail = (1 - level) / 2
    low = float(beta.ppf(tail, successes, n - successes + 1)) if successes > 0 else 0.0
    high = float(beta.ppf(1 - tail, successes + 1, n - successes)) if successes < n else 1.0
    return low, high
