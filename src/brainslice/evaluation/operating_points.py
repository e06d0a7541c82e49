"""From tuning scans to operating points: a threshold, the rates counted at it, and what it is worth."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from brainslice.decision.operating_point import TARGETS, MeasuredOn, MeasuredRate, OperatingPoint, Target, Unit
from brainslice.decision.threshold_search import (
    Assurance,
    SelectedThreshold,
    TumourScores,
    guaranteed_threshold,
    search_threshold,
)
from brainslice.errors import CalibrationError
from brainslice.evaluation.tuning_data import TuningScans
from brainslice.metrics.curves.decision_curve import DecisionCurve, decision_curve
from brainslice.metrics.intervals.asymptotic import LEVEL, Interval
from brainslice.metrics.intervals.exact import exact_by_group
from brainslice.metrics.predictive_values import PredictiveValues, predictive_values

CURVE_FILE: Final = "operating_curve.json"
"""The bundle's file of rates over thresholds."""

THRESHOLDS: Final = (0.0, 0.001, 0.002, 0.005, *(step / 100 for step in range(1, 100)), 0.995, 0.998, 0.999, 1.0)
"""Where rates are counted for the curve."""

_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class OperatingPointRequest:
    """What an operating point is to be.

    Attributes:
        goal: What its threshold is to reach.
        name: What it is called; after its goal where None.
        assurance: The guarantee asked for; None asks for none.
        prevalence: The share of tumours that costs and predictive values are weighed at; None states none.
    """

    goal: Target
    name: str | None = None
    assurance: Assurance | None = None
    prevalence: float | None = None


@dataclass(frozen=True, slots=True)
class OperatingPointResult:
    """An operating point, and what is known of it beyond what a bundle stores.

    Attributes:
        point: What the bundle stores.
        sensitivity: Share of tumours called so among the tuning scans.
        specificity: Share of healthy scans called so among them.
        values: Predictive values at the stated prevalence; None where none was stated.
    """

    point: OperatingPoint
    sensitivity: MeasuredRate
    specificity: MeasuredRate
    values: PredictiveValues | None

    def to_json(self) -> dict[str, Any]:
        """Write everything in plain types."""
        return {
            **asdict(self.point),
            "on_tuning_scans": {"sensitivity": asdict(self.sensitivity), "specificity": asdict(self.specificity)},
            "predictive_values": None if self.values is None else self.values.to_json(),
        }


def find_operating_point(wish: OperatingPointRequest, scans: TuningScans) -> OperatingPointResult:
    """Choose a threshold on tuning scans and count rates on held-out scans, or on the same where there are none.

    Args:
        wish: What it is to be.
        scans: The scans that choose, and those that are reported on.

    Raises:
        CalibrationError: The goal cannot be reached or not be promised on these scans.
        UsageError: The name or the prevalence cannot be meant.
    """
    goal, tuning = wish.goal, scans.tuning
    cut = _cut(wish, scans)
    measured = scans.shown
    sensitivity, specificity = rates_at(measured, cut.threshold)
    weighed = None if goal.criterion in TARGETS or goal.value is None else wish.prevalence or tuning.prevalence
    point = OperatingPoint(
        name=wish.name or goal.name + ("-guaranteed" if cut.guarantee else ""),
        threshold=cut.threshold,
        criterion=goal.criterion,
        value=goal.value,
        prevalence=weighed,
        promise=goal.description + _words(cut),
        sensitivity=sensitivity,
        specificity=specificity,
        n=len(measured.scores),
        groups=len(np.unique(measured.groups)),
        measured_on=MeasuredOn.TUNING if scans.held_out is None else MeasuredOn.HELD_OUT,
        tuned_on=scans.words,
        guarantee=cut.guarantee,
    )
    return OperatingPointResult(point, *rates_at(tuning, cut.threshold), _values(wish, measured, cut.threshold))


def rates_at(scored: TumourScores, threshold: float, level: float = LEVEL) -> tuple[MeasuredRate, MeasuredRate]:
    """Count sensitivity and specificity at a threshold, each with its exact interval."""
    right = (scored.scores >= threshold) == scored.tumour
    found, cleared = (_rate(right[kind], scored.groups[kind], level) for kind in (scored.tumour, ~scored.tumour))
    return found, cleared


def operating_curve(scans: TuningScans) -> dict[str, Any]:
    """Count sensitivity and specificity at every hundredth, and finer near the ends, as a bundle's file holds them."""
    shown = scans.shown
    points = [(threshold, *rates_at(shown, threshold)) for threshold in THRESHOLDS]
    return {
        "measured_on": scans.shown_words[:_LONGEST],
        "tumours": int(shown.tumour.sum()),
        "healthy": int((~shown.tumour).sum()),
        "groups": len(np.unique(shown.groups)),
        "level": LEVEL,
        "points": [
            {"threshold": threshold, "sensitivity": _ends(found), "specificity": _ends(cleared)}
            for threshold, found, cleared in points
        ],
    }


def curve_of(scans: TuningScans, prevalence: float | None) -> DecisionCurve:
    """Trace the decision curve on the held-out scans, or on the tuning scans where there are none."""
    shown = scans.shown
    return decision_curve(shown.tumour, shown.scores, shown.groups, prevalence)


def _ends(rate: MeasuredRate) -> dict[str, float]:
    return {"value": rate.value, "low": rate.low, "high": rate.high}


def _cut(wish: OperatingPointRequest, scans: TuningScans) -> SelectedThreshold:
    if wish.assurance is None:
        return search_threshold(wish.goal, scans.tuning, wish.prevalence)
    if not scans.promising:
        msg = (
            f"nothing can be promised on {scans.words}: relatives of these scans may have trained the model; give "
            "scans it does not know with --data, or ask for no guarantee"
        )
        raise CalibrationError(msg)
    return guaranteed_threshold(wish.goal, scans.tuning, wish.assurance)


def _words(cut: SelectedThreshold) -> str:
    if cut.guarantee is None:
        return "; counted on the tuning scans, promised of no other"
    given = cut.guarantee
    of = "a scan of a new patient" if given.unit is Unit.SCAN else "new patients of whom every scan must be right"
    like = f"if new ones are like the {given.units} groups counted"
    return f"; guaranteed with {given.confidence:.0%} probability for {of}, {like}"


def _rate(right: np.ndarray, groups: np.ndarray, level: float) -> MeasuredRate:
    bounds = exact_by_group(right, groups, level)
    share = float(right.mean())
    return MeasuredRate(share, bounds.low, bounds.high, level, len(right), len(np.unique(groups)), bounds.method)


def _values(wish: OperatingPointRequest, measured: TumourScores, threshold: float) -> PredictiveValues | None:
    if wish.prevalence is None:
        return None
    rates = rates_at(measured, threshold, (1 + LEVEL) / 2)
    sensitivity, specificity = ((rate.value, Interval(rate.low, rate.high, rate.level, rate.method)) for rate in rates)
    return predictive_values(sensitivity, specificity, wish.prevalence)
