"""Comparison of two models on the same scans: McNemar's test, and a model against the baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest, chi2

from brainslice.arrays import Decisions, Groups, Labels
from brainslice.metrics.scoring import TITLES, Score, ScoringInputs, decision_scores, tumour_scores

_MAX_EXACT = 25


@dataclass(frozen=True, slots=True)
class McNemar:
    """The result of McNemar's test of two models on the same scans.

    Attributes:
        only_first: Scans on which only the first model is correct.
        only_second: Scans on which only the second model is correct.
        p_value: Two-sided, scans taken as independent.
        method: A description of the method.
        p_value_by_group: The same with groups taken as independent; None if undefined.
    """

    only_first: int
    only_second: int
    p_value: float
    method: str
    p_value_by_group: float | None = None


def mcnemar(correct_first: Decisions, correct_second: Decisions, groups: Groups | None = None) -> McNemar:
    """Test whether two models differ, from the scans on which exactly one of them is correct.

    Up to 25 such scans are tested exactly against the binomial distribution, more against
    chi-squared with continuity correction.

    Reference:
        McNemar, Psychometrika 1947; Edwards, Psychometrika 1948, for the correction; Yang et al.,
        A Note on the Tests for Clustered Matched-Pair Binary Data, Biometrical Journal 2010, for groups.
    """
    first = int((correct_first & ~correct_second).sum())
    second = int((correct_second & ~correct_first).sum())
    by_group = None if groups is None else _group_p_value(correct_first, correct_second, groups)
    if first + second <= _MAX_EXACT:
        exact = binomtest(first, first + second).pvalue if first + second else 1.0
        return McNemar(first, second, float(exact), "exact binomial", by_group)
    statistic = max(abs(first - second) - 1, 0) ** 2 / (first + second)
    return McNemar(first, second, float(chi2.sf(statistic, 1)), "chi-squared with continuity correction", by_group)


def _group_p_value(correct_first: Decisions, correct_second: Decisions, groups: Groups) -> float | None:
    members = np.unique(groups, return_inverse=True)[1]
    differences = np.bincount(members, weights=correct_first.astype(float) - correct_second)
    squares = float((differences**2).sum())
    return float(chi2.sf(differences.sum() ** 2 / squares, 1)) if squares > 0 else None


def format_p_value(p_value: float) -> str:
    """Format a p-value with three decimals."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"  # noqa: PLR2004 - the usual limit


@dataclass(frozen=True, slots=True, eq=False)
class BaselineComparison:
    """A model compared with the baseline, a classifier without spatial information, on the same scans.

    Attributes:
        predictions: The baseline's predicted classes ``(n,)``.
        scores: The baseline's decision and tumour scores.
        test: McNemar's test; "first" is the model, "second" the baseline.
    """

    predictions: Labels
    scores: tuple[Score, ...]
    test: McNemar

    def to_json(self) -> dict[str, Any]:
        """Return scores and test as plain types."""
        return {
            "scores": {score.name: score.to_json() for score in self.scores},
            "mcnemar": {
                "only_model_right": self.test.only_first,
                "only_floor_right": self.test.only_second,
                "p_value": self.test.p_value,
                "method": self.test.method,
                "p_value_by_group": self.test.p_value_by_group,
            },
        }

    def summary_lines(self) -> tuple[str, ...]:
        """Describe the baseline's scores and the test, a line each."""
        scores = "; ".join(f"{TITLES[score.name]} {score.text}" for score in self.scores[:3])
        by_group = self.test.p_value_by_group
        grouped = "" if by_group is None else f"; by group {format_p_value(by_group)}"
        return (
            f"baseline (grey levels only, no shape): {scores}",
            (
                f"model against baseline: only one correct {self.test.only_first} to {self.test.only_second}, "
                f"McNemar {format_p_value(self.test.p_value)} ({self.test.method}{grouped})"
            ),
        )


def compare_with_baseline(model: ScoringInputs, baseline: ScoringInputs, threshold: float) -> BaselineComparison:
    """Score the baseline like the model on the same scans, and test whether the two differ."""
    return BaselineComparison(
        predictions=baseline.predictions,
        scores=(*decision_scores(baseline), *tumour_scores(baseline, threshold)),
        test=mcnemar(model.predictions == model.labels, baseline.predictions == baseline.labels, model.groups),
    )
