"""Decision curves (net benefit) and predictive values at a stated prevalence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from brainslice.array_types import Float
from brainslice.arrays import Decisions, Groups, Scores
from brainslice.errors import UsageError
from brainslice.metrics.curves.ranking import require_both_classes
from brainslice.metrics.intervals import LEVEL, Interval, exact_by_group

THRESHOLD_PROBABILITIES = tuple(round(0.01 * step, 2) for step in (1, 2, 3, 5, 7, *range(10, 96, 5), 97, 99))
"""The default threshold probabilities."""


@dataclass(frozen=True, slots=True, eq=False)
class DecisionCurve:
    """Net benefit by threshold probability.

    Attributes:
        threshold_probabilities: ``(points,)``, rising.
        model: Net benefit of treating scans whose P(tumour) reaches the threshold.
        low: The lower ends of its intervals.
        high: The upper ends.
        treat_all: Net benefit of treating every scan; that of treating none is 0.
        prevalence: The assumed share of tumours.
        level: The confidence level.
        n: The number of scans.
        groups: The number of groups they come from.
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
        """Return all points as plain types."""
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


def net_benefit(sensitivity: float, specificity: float, prevalence: float, threshold: float) -> float:
    """Compute ``π·sensitivity - (1 - π)·(1 - specificity)·p/(1 - p)`` at prevalence ``π`` and threshold ``p < 1``.

    Reference:
        Vickers and Elkin, Decision Curve Analysis, Medical Decision Making 2006.
    """
    return prevalence * sensitivity - (1 - prevalence) * (1 - specificity) * threshold / (1 - threshold)


def decision_curve(
    tumour: Decisions,
    scores: Scores,
    groups: Groups,
    prevalence: float | None = None,
    thresholds: tuple[float, ...] = THRESHOLD_PROBABILITIES,
    level: float = LEVEL,
) -> DecisionCurve:
    """Compute net benefit at threshold probabilities, which are also the thresholds on P(tumour).

    Net benefit increases with sensitivity and specificity, so the ends of their exact intervals, each at
    ``(1 + level)/2``, bound it. The prevalence is by default that of the scans.

    Raises:
        UsageError: One of the two classes is missing, or a threshold or the prevalence is not above 0 and below 1.
    """
    require_both_classes(tumour)
    share = float(tumour.mean()) if prevalence is None else prevalence
    for name, value in (*(("threshold probability", threshold) for threshold in thresholds), ("prevalence", share)):
        if not 0.0 < value < 1.0:
            msg = f"{name} must be above 0 and below 1, got {value!r}"
            raise UsageError(msg)
    rows = [_point(tumour, scores >= threshold, groups, (share, threshold), level) for threshold in thresholds]
    low, model, high, treat_all = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    points = np.array(thresholds, np.float64)
    return DecisionCurve(
        *(points, model, low, high, treat_all),
        prevalence=share,
        level=level,
        n=len(tumour),
        groups=len(np.unique(groups)),
    )


def _point(
    tumour: Decisions, predicted: Decisions, groups: Groups, rates: tuple[float, float], level: float
) -> tuple[float, float, float, float]:
    """Return lower end, value and upper end of net benefit, and that of treating all; rates as in ``net_benefit``."""
    sensitivity = exact_by_group(predicted[tumour], groups[tumour], (1 + level) / 2)
    specificity = exact_by_group(~predicted[~tumour], groups[~tumour], (1 + level) / 2)
    shares = (float(predicted[tumour].mean()), float((~predicted[~tumour]).mean()))
    return (
        net_benefit(sensitivity.low, specificity.low, *rates),
        net_benefit(*shares, *rates),
        net_benefit(sensitivity.high, specificity.high, *rates),
        net_benefit(1.0, 0.0, *rates),
    )


@dataclass(frozen=True, slots=True)
class PredictiveValues:
    """Positive and negative predictive value at one prevalence.

    Attributes:
        prevalence: The share of tumours among the scans, as stated by the user.
        positive: PPV; None if no scan would be predicted as a tumour.
        positive_interval: Its interval.
        negative: NPV; None if no scan would be predicted as healthy.
        negative_interval: Its interval.
    """

    prevalence: float
    positive: float | None
    positive_interval: Interval | None
    negative: float | None
    negative_interval: Interval | None

    def to_json(self) -> dict[str, Any]:
        """Return both as plain types."""
        return {
            "prevalence": self.prevalence,
            "ppv": self.positive,
            "ppv_interval": None if self.positive_interval is None else self.positive_interval.to_json(),
            "npv": self.negative,
            "npv_interval": None if self.negative_interval is None else self.negative_interval.to_json(),
        }

    @property
    def summary(self) -> str:
        """Both with intervals as text."""
        positive, negative = (
            "undefined" if value is None or bounds is None else f"{value:.3f} [{bounds.low:.3f}, {bounds.high:.3f}]"
            for value, bounds in ((self.positive, self.positive_interval), (self.negative, self.negative_interval))
        )
        return f"at a prevalence of {self.prevalence:g}: PPV {positive}, NPV {negative}"


def predictive_values(
    sensitivity: tuple[float, Interval], specificity: tuple[float, Interval], prevalence: float
) -> PredictiveValues:
    """Compute predictive values from sensitivity and specificity by Bayes' rule.

    Both values increase with sensitivity and specificity, so the ends of the two intervals bound them. For the pair
    to hold at a level, each of the two intervals must be at ``(1 + level)/2`` (Bonferroni).

    Args:
        sensitivity: The share and its interval, at a level of ``(1 + level)/2``.
        specificity: Likewise.
        prevalence: The share of tumours among the scans, above 0 and below 1.

    Raises:
        UsageError: The prevalence is not above 0 and below 1.

    Reference:
        Altman and Bland, Diagnostic Tests 2: Predictive Values, BMJ 1994.
    """
    if not 0.0 < prevalence < 1.0:
        msg = f"prevalence must be a share above 0 and below 1, got {prevalence!r}"
        raise UsageError(msg)
    first, second = sensitivity[1], specificity[1]
    method = f"ends of the intervals of sensitivity and specificity, each at {first.level:.4g}"
    low = _values(first.low, second.low, prevalence)
    values = _values(sensitivity[0], specificity[0], prevalence)
    high = _values(first.high, second.high, prevalence)
    intervals: list[Interval | None] = []
    for least, value, most in zip(low, values, high, strict=True):
        if value is None:
            intervals.append(None)
        else:
            ends = (min(0.0 if least is None else least, value), max(1.0 if most is None else most, value))
            intervals.append(Interval(*ends, 2 * first.level - 1, method))
    return PredictiveValues(prevalence, values[0], intervals[0], values[1], intervals[1])


def _values(sensitivity: float, specificity: float, prevalence: float) -> tuple[float | None, float | None]:
    hits, alarms = prevalence * sensitivity, (1 - prevalence) * (1 - specificity)
    misses, rejections = prevalence * (1 - sensitivity), (1 - prevalence) * specificity
    positive = hits / (hits + alarms) if hits + alarms > 0 else None
    negative = rejections / (rejections + misses) if rejections + misses > 0 else None
    return positive, negative
