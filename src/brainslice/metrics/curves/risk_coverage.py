"""How many errors are left as doubtful answers are left to a person: the risk–coverage curve and its area."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from brainslice.arrays import Decisions, Groups, Scores
from brainslice.errors import UsageError
from brainslice.metrics.intervals.asymptotic import LEVEL
from brainslice.metrics.scoring import Score, proportion

BUDGETS = (0.05, 0.1, 0.2)
"""The shares of scans left to a person at which the accuracy of the rest is told."""

# So that a tenth of thirty scans is three, however 0.1 is rounded.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class RiskCoverage:
    """How good a model is on the scans it is surest of.

    Attributes:
        coverage: The shares of scans it answers for itself ``(n,)``, from one scan to all.
        risk: The share of wrong answers among them ``(n,)``.
        area: The mean of ``risk``: the area under the curve.
        excess: How much of the area a perfect order of doubt would save.
        reviewed: For each of ``BUDGETS`` the accuracy on the scans that no person looks at.
    """

    coverage: Float[np.ndarray, " n"]
    risk: Float[np.ndarray, " n"]
    area: float
    excess: float
    reviewed: dict[float, Score]

    def to_json(self) -> dict[str, Any]:
        """Write the area and the accuracies in plain types, and the curve at 101 shares."""
        grid = np.unique(np.ceil(np.linspace(0.0, 1.0, 101) * len(self.risk)).astype(int).clip(1) - 1)
        return {
            "area": self.area,
            "excess_area": self.excess,
            "accuracy_after_review": {f"{budget:g}": score.to_json() for budget, score in self.reviewed.items()},
            "curve": {"coverage": self.coverage[grid].tolist(), "risk": self.risk[grid].tolist()},
        }


def risk_coverage(doubtful: Scores, right: Decisions, groups: Groups, level: float = LEVEL) -> RiskCoverage:
    """Trace how the errors fall as doubtful scans are left out.

    Args:
        doubtful: How doubtful each answer is ``(n,)``.
        right: Whether it is right ``(n,)``.
        groups: The group of each scan ``(n,)``.
        level: How often an interval is to hold the truth.

    Raises:
        UsageError: There is no scan.

    Reference:
        Geifman and El-Yaniv, Selective Classification for Deep Neural Networks, NeurIPS 2017; Geifman et al.,
        Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers, ICLR 2019, for area and excess.
    """
    if len(right) == 0:
        msg = "a risk-coverage curve needs at least one scan, got none"
        raise UsageError(msg)
    answered = np.arange(1, len(right) + 1)
    risk = _errors_so_far(doubtful, right) / answered
    best = np.maximum(answered - right.sum(), 0) / answered
    order = np.argsort(-doubtful, kind="stable")
    reviewed = {}
    for budget in BUDGETS:
        rest = order[math.ceil(budget * len(right) - _ROUNDING) :]
        reviewed[budget] = proportion("accuracy", right[rest], groups[rest], level)
    area = float(risk.mean())
    return RiskCoverage(answered / len(right), risk, area, area - float(best.mean()), reviewed)


def _errors_so_far(doubtful: Scores, right: Decisions) -> Scores:
    """Count the errors among the surest scans; scans of equal doubt share their errors, in whatever order they come."""
    levels, members = np.unique(doubtful, return_inverse=True)
    errors = np.bincount(members, weights=~right, minlength=len(levels)) / np.bincount(members)
    return np.asarray(np.cumsum(errors[np.sort(members)]))
