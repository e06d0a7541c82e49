"""Find operating points on tuning scans: thresholds, their rates, and curves over all thresholds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from brainslice.decision import (
    TARGETS,
    Assurance,
    MeasuredOn,
    MeasuredRate,
    OperatingPoint,
    SelectedThreshold,
    Target,
    TumourScores,
    Unit,
    guaranteed_threshold,
    search_threshold,
)
from brainslice.errors import CalibrationError
from brainslice.evaluation.tuning_data import TuningScans
from brainslice.metrics import (
    LEVEL,
    DecisionCurve,
    Interval,
    PredictiveValues,
    decision_curve,
    exact_by_group,
    predictive_values,
)

CURVE_FILE: Final = "operating_curve.json"
"""The bundle's file of rates over thresholds."""

THRESHOLDS: Final = (0.0, 0.001, 0.002, 0.005, *(step / 100 for step in range(1, 100)), 0.995, 0.998, 0.999, 1.0)
"""Thresholds of the operating curve."""

_MAX_DESCRIPTION: Final = 200


@dataclass(frozen=True, slots=True)
class OperatingPointRequest:
    """A target to search an operating point for.

    Attributes:
        goal: The target of its threshold.
        name: Its name; None names it after its goal.
        assurance: The guarantee; None for none.
        prevalence: Share of tumours for costs and predictive values; None leaves those out.
    """

    goal: Target
    name: str | None = None
    assurance: Assurance | None = None
    prevalence: float | None = None


@dataclass(frozen=True, slots=True)
class OperatingPointResult:
    """An operating point, and its rates on the tuning scans.

    Attributes:
        point: As stored in the bundle.
        sensitivity: On the tuning scans.
        specificity: On the tuning scans.
        values: Predictive values at the given prevalence; None without one.
    """

    point: OperatingPoint
    sensitivity: MeasuredRate
    specificity: MeasuredRate
    values: PredictiveValues | None

    def to_json(self) -> dict[str, Any]:
        """Return the point as JSON types."""
        return {
            **asdict(self.point),
            "on_tuning_scans": {"sensitivity": asdict(self.sensitivity), "specificity": asdict(self.specificity)},
            "predictive_values": None if self.values is None else self.values.to_json(),
        }


def find_operating_point(request: OperatingPointRequest, scans: TuningScans) -> OperatingPointResult:
    """Choose a threshold on tuning scans and measure its rates on held-out scans, or on the same where there are none.

    Raises:
        CalibrationError: The goal cannot be reached or not be guaranteed on these scans.
        UsageError: The name or the prevalence is invalid.
    """
    goal, tuning = request.goal, scans.tuning
    selected = _select_threshold(request, scans)
    measured = scans.reported
    sensitivity, specificity = rates_at(measured, selected.threshold)
    prevalence = None if goal.criterion in TARGETS or goal.value is None else request.prevalence or tuning.prevalence
    point = OperatingPoint(
        name=request.name or goal.name + ("-guaranteed" if selected.guarantee else ""),
        threshold=selected.threshold,
        criterion=goal.criterion,
        value=goal.value,
        prevalence=prevalence,
        promise=goal.description + _guarantee_text(selected),
        sensitivity=sensitivity,
        specificity=specificity,
        n=len(measured.scores),
        groups=len(np.unique(measured.groups)),
        measured_on=MeasuredOn.TUNING if scans.held_out is None else MeasuredOn.HELD_OUT,
        tuned_on=scans.description,
        guarantee=selected.guarantee,
    )
    values = _predictive_values(request.prevalence, measured, selected.threshold)
    return OperatingPointResult(point, *rates_at(tuning, selected.threshold), values)


def rates_at(scored: TumourScores, threshold: float, level: float = LEVEL) -> tuple[MeasuredRate, MeasuredRate]:
    """Measure sensitivity and specificity at a threshold, each with its exact interval."""
    correct = (scored.scores >= threshold) == scored.tumour
    tumour, healthy = scored.tumour, ~scored.tumour
    return _rate(correct[tumour], scored.groups[tumour], level), _rate(correct[healthy], scored.groups[healthy], level)


def operating_curve(scans: TuningScans) -> dict[str, Any]:
    """Measure sensitivity and specificity at every threshold of the curve, for the bundle's file."""
    scored = scans.reported
    points = [(threshold, *rates_at(scored, threshold)) for threshold in THRESHOLDS]
    return {
        "measured_on": scans.reported_description[:_MAX_DESCRIPTION],
        "tumours": int(scored.tumour.sum()),
        "healthy": int((~scored.tumour).sum()),
        "groups": len(np.unique(scored.groups)),
        "level": LEVEL,
        "points": [
            {"threshold": threshold, "sensitivity": _bounds(sensitivity), "specificity": _bounds(specificity)}
            for threshold, sensitivity, specificity in points
        ],
    }


def tuning_decision_curve(scans: TuningScans, prevalence: float | None) -> DecisionCurve:
    """Compute the decision curve on the held-out scans, or on the tuning scans where there are none."""
    scored = scans.reported
    return decision_curve(scored.tumour, scored.scores, scored.groups, prevalence)


def _bounds(rate: MeasuredRate) -> dict[str, float]:
    return {"value": rate.value, "low": rate.low, "high": rate.high}


def _select_threshold(request: OperatingPointRequest, scans: TuningScans) -> SelectedThreshold:
    if request.assurance is None:
        return search_threshold(request.goal, scans.tuning, request.prevalence)
    if not scans.allows_guarantee:
        msg = (
            f"no guarantee can be given on {scans.description}: scans of the same groups may have trained the model; "
            "give other scans with --data, or ask for no guarantee"
        )
        raise CalibrationError(msg)
    return guaranteed_threshold(request.goal, scans.tuning, request.assurance)


def _guarantee_text(selected: SelectedThreshold) -> str:
    if selected.guarantee is None:
        return "; measured on the tuning scans, not guaranteed for others"
    given = selected.guarantee
    of = "a scan of a new patient" if given.unit is Unit.SCAN else "new patients of whom every scan must be right"
    like = f"if new ones are like the {given.units} groups counted"
    return f"; guaranteed with {given.confidence:.0%} probability for {of}, {like}"


def _rate(correct: np.ndarray, groups: np.ndarray, level: float) -> MeasuredRate:
    bounds = exact_by_group(correct, groups, level)
    share = float(correct.mean())
    return MeasuredRate(share, bounds.low, bounds.high, level, len(correct), len(np.unique(groups)), bounds.method)


def _predictive_values(prevalence: float | None, measured: TumourScores, threshold: float) -> PredictiveValues | None:
    if prevalence is None:
        return None
    rates = rates_at(measured, threshold, (1 + LEVEL) / 2)
    sensitivity, specificity = ((rate.value, Interval(rate.low, rate.high, rate.level, rate.method)) for rate in rates)
    return predictive_values(sensitivity, specificity, prevalence)
