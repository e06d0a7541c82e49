"""Whether acting on a model's answers does more good than acting on everybody, or on nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from brainslice.arrays import Decisions, Groups, Scores
from brainslice.errors import UsageError
from brainslice.metrics.curves.ranking import require_both_classes
from brainslice.metrics.intervals.asymptotic import LEVEL
from brainslice.metrics.intervals.exact import exact_by_group

THRESHOLD_PROBABILITIES = tuple(round(0.01 * step, 2) for step in (1, 2, 3, 5, 7, *range(10, 96, 5), 97, 99))
"""The threshold probabilities at which net benefit is told, unless told otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class DecisionCurve:
    """Net benefit against the probability from which one would act.

    Attributes:
        threshold_probabilities: The threshold probabilities ``(points,)``, rising.
        model: Net benefit of acting on scans whose P(tumour) reaches it.
        low: The lower ends of its intervals.
        high: The upper ends.
        treat_all: Net benefit of acting on every scan; that of acting on none is 0.
        prevalence: The share of tumours all this is weighed at.
        level: How often an interval is to hold the truth.
        n: Scans.
        groups: Groups they come from.
    """

    threshold_probabilities: Float[np.ndarray, " points"]
    model: Float[np.ndarray, " points"]
    low: Float[np.ndarray, " points"]
    high: Float[np.ndarray, " points"]
    treat_all: Float[np.ndarray, " points"]
    prevalence: float
    level: float
    n: int
    groups: int

    def to_json(self) -> dict[str, Any]:
        """Write all points in plain types."""
        return {
            "prevalence": self.prevalence,
            "level": self.level,
            "n": self.n,
            "groups": self.groups,
            "threshold_probability": self.threshold_probabilities.tolist(),
            "net_benefit": self.model.tolist(),
            "low": self.low.tolist(),
            "high": self.high.tolist(),
            "treat_all": self.treat_all.tolist(),
            "treat_none": 0.0,
        }


def net_benefit(sensitivity: float, specificity: float, prevalence: float, chance: float) -> float:
    """Count true positives, less false ones at the odds of the threshold probability, a scan.

    ``NB = π·sensitivity - (1 - π)·(1 - specificity)·p/(1 - p)``

    Args:
        sensitivity: Share of tumours called so.
        specificity: Share of healthy scans called so.
        prevalence: The share of tumours ``π``.
        chance: The threshold probability ``p``, below 1: from where one would rather act than wait.

    Reference:
        Vickers and Elkin, Decision Curve Analysis, Medical Decision Making 2006.
    """
    return prevalence * sensitivity - (1 - prevalence) * (1 - specificity) * chance / (1 - chance)


def decision_curve(
    tumour: Decisions,
    scores: Scores,
    groups: Groups,
    prevalence: float | None = None,
    chances: tuple[float, ...] = THRESHOLD_PROBABILITIES,
    level: float = LEVEL,
) -> DecisionCurve:
    """Trace net benefit over threshold probabilities, the threshold on P(tumour) moving along.

    Net benefit rises with sensitivity and with specificity, so the ends of their exact intervals bound it; each of the
    two is taken at ``(1 + level)/2``, and the prevalence as stated.

    Args:
        tumour: Which scans show a tumour ``(n,)``; some do and some do not.
        scores: P(tumour), calibrated ``(n,)``.
        groups: The group of each scan ``(n,)``.
        prevalence: The share of tumours to weigh at; that of the scans where None.
        chances: The threshold probabilities, each above 0 and below 1.
        level: How often an interval is to hold the truth.

    Raises:
        UsageError: One of the two kinds is missing, or a threshold probability or the prevalence is no such share.

    Reference:
        Vickers and Elkin, Decision Curve Analysis, Medical Decision Making 2006.
    """
    require_both_classes(tumour)
    share = float(tumour.mean()) if prevalence is None else prevalence
    for word, value in (*(("threshold probability", chance) for chance in chances), ("prevalence", share)):
        if not 0.0 < value < 1.0:
            msg = f"{word} must be above 0 and below 1, got {value!r}"
            raise UsageError(msg)
    rows = [_point(tumour, scores >= chance, groups, (share, chance), level) for chance in chances]
    low, model, high = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    everybody = np.array([net_benefit(1.0, 0.0, share, chance) for chance in chances])
    found = len(np.unique(groups))
    return DecisionCurve(np.array(chances, np.float64), model, low, high, everybody, share, level, len(tumour), found)


def _point(
    tumour: Decisions, called: Decisions, groups: Groups, stated: tuple[float, float], level: float
) -> tuple[float, float, float]:
    """Give the lower end, the value and the upper end of net benefit at one threshold probability."""
    found = exact_by_group(called[tumour], groups[tumour], (1 + level) / 2)
    cleared = exact_by_group(~called[~tumour], groups[~tumour], (1 + level) / 2)
    shares = (float(called[tumour].mean()), float((~called[~tumour]).mean()))
    return (
        net_benefit(found.low, cleared.low, *stated),
        net_benefit(*shares, *stated),
        net_benefit(found.high, cleared.high, *stated),
    )
