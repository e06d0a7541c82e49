"""Whether one model is better than another on the same scans, or only seems so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, chi2

from brainslice.arrays import Decisions, Groups

_FEW = 25


@dataclass(frozen=True, slots=True)
class McNemar:
    """McNemar's test of two models on the same scans.

    Attributes:
        only_first: Scans that only the first model judges rightly.
        only_second: Scans that only the second one does.
        p_value: The chance of so large a difference between equally good models, scans taken as independent.
        method: How it was found, in words.
        p_value_by_group: The same with whole groups taken as independent; None where they cannot say.
    """

    only_first: int
    only_second: int
    p_value: float
    method: str
    p_value_by_group: float | None = None


def mcnemar(correct_first: Decisions, correct_second: Decisions, groups: Groups | None = None) -> McNemar:
    """Test whether two models differ, from the scans on which exactly one of them is right.

    Up to 25 such scans are tested exactly against the binomial distribution, more against
    chi-squared with continuity correction.

    Args:
        correct_first: Which scans the first model judges rightly ``(n,)``.
        correct_second: Which ones the second does.
        groups: The group of each scan ``(n,)``; given, the test is also made group by group.

    Reference:
        McNemar, Psychometrika 1947; Edwards, Psychometrika 1948, for the correction; Yang et al.,
        A Note on the Tests for Clustered Matched-Pair Binary Data, Biometrical Journal 2010, for groups.
    """
    first = int((correct_first & ~correct_second).sum())
    second = int((correct_second & ~correct_first).sum())
    by_group = None if groups is None else _group_p_value(correct_first, correct_second, groups)
    if first + second <= _FEW:
        exact = binomtest(first, first + second).pvalue if first + second else 1.0
        return McNemar(first, second, float(exact), "exact binomial", by_group)
    statistic = max(abs(first - second) - 1, 0) ** 2 / (first + second)
    return McNemar(first, second, float(chi2.sf(statistic, 1)), "chi-squared with continuity correction", by_group)


def format_p_value(p_value: float) -> str:
    """Write a p-value as papers do."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"  # noqa: PLR2004 - the usual least


def _group_p_value(correct_first: Decisions, correct_second: Decisions, groups: Groups) -> float | None:
    """Test the sum of the groups' differences against their squares, as independent as groups are."""
    members = np.unique(groups, return_inverse=True)[1]
    differences = np.bincount(members, weights=correct_first.astype(float) - correct_second)
    spread = float((differences**2).sum())
    return float(chi2.sf(differences.sum() ** 2 / spread, 1)) if spread > 0 else None
