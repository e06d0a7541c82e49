"""What a positive or a negative answer is worth where tumours are as frequent as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from brainslice.errors import UsageError
from brainslice.metrics.intervals.asymptotic import Interval


@dataclass(frozen=True, slots=True)
class PredictiveValues:
    """Positive and negative predictive value at one prevalence.

    Attributes:
        prevalence: The share of tumours among those who are scanned; stated, never taken from the set.
        positive: Share of tumours among scans called so; None where none would be called so.
        positive_interval: Where it lies.
        negative: Share of healthy scans among those called healthy; None where none would be called so.
        negative_interval: Where it lies.
    """

    prevalence: float
    positive: float | None
    positive_interval: Interval | None
    negative: float | None
    negative_interval: Interval | None

    def to_json(self) -> dict[str, Any]:
        """Write both in plain types."""
        return {
            "prevalence": self.prevalence,
            "ppv": self.positive,
            "ppv_interval": None if self.positive_interval is None else self.positive_interval.to_json(),
            "npv": self.negative,
            "npv_interval": None if self.negative_interval is None else self.negative_interval.to_json(),
        }

    @property
    def summary(self) -> str:
        """Say both in a line."""
        positive, negative = (
            "undefined" if value is None or bounds is None else f"{value:.3f} [{bounds.low:.3f}, {bounds.high:.3f}]"
            for value, bounds in (
                (self.positive, self.positive_interval),
                (self.negative, self.negative_interval),
            )
        )
        return f"at a prevalence of {self.prevalence:g}: PPV {positive}, NPV {negative}"


def predictive_values(
    sensitivity: tuple[float, Interval], specificity: tuple[float, Interval], prevalence: float
) -> PredictiveValues:
    """Turn sensitivity and specificity into predictive values by Bayes' rule.

    Both values rise with sensitivity and with specificity, so the ends of the two intervals, taken together, bound
    them. For the pair to hold at a level, each of the two intervals must be taken at ``(1 + level)/2`` (Bonferroni).

    Args:
        sensitivity: The share and its interval, at a level of ``(1 + level)/2``.
        specificity: Likewise.
        prevalence: The share of tumours among those who are scanned, above 0 and below 1.

    Raises:
        UsageError: The prevalence is no such share.

    Reference:
        Altman and Bland, Diagnostic Tests 2: Predictive Values, BMJ 1994.
    """
    if not 0.0 < prevalence < 1.0:
        msg = f"prevalence must be a share above 0 and below 1, got {prevalence!r}"
        raise UsageError(msg)
    found, bounds = sensitivity
    cleared, margins = specificity
    level = 2 * bounds.level - 1
    method = f"ends of the intervals of sensitivity and specificity, each at {bounds.level:.4g}"
    low, middle, high = (
        _values(*pair, prevalence)
        for pair in ((bounds.low, margins.low), (found, cleared), (bounds.high, margins.high))
    )
    between = [
        None if value is None else Interval(min(_or(least, 0.0), value), max(_or(most, 1.0), value), level, method)
        for least, value, most in zip(low, middle, high, strict=True)
    ]
    return PredictiveValues(prevalence, middle[0], between[0], middle[1], between[1])


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _values(sensitivity: float, specificity: float, prevalence: float) -> tuple[float | None, float | None]:
    hits, alarms = prevalence * sensitivity, (1 - prevalence) * (1 - specificity)
    misses, cleared = prevalence * (1 - sensitivity), (1 - prevalence) * specificity
    positive = hits / (hits + alarms) if hits + alarms > 0 else None
    negative = cleared / (cleared + misses) if cleared + misses > 0 else None
    return positive, negative
