"""Metrics with confidence intervals.

Public names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.metrics.abstention import Abstention, AbstentionInputs, PredictionSetQuality
    from brainslice.metrics.baseline import fit_baseline
    from brainslice.metrics.binary import BinaryScores, binary_scores, compare_predictions
    from brainslice.metrics.calibration import bin_by_confidence, expected_calibration_error, negative_log_likelihood
    from brainslice.metrics.classification import accuracy, confusion, macro_f1
    from brainslice.metrics.comparison import McNemar, format_p_value
    from brainslice.metrics.curves.decision_curve import DecisionCurve, decision_curve
    from brainslice.metrics.curves.reliability_diagram import Reliability
    from brainslice.metrics.evaluation import HEADLINES, Evaluation, EvaluationSettings, ScoredSet, evaluate
    from brainslice.metrics.intervals.asymptotic import LEVEL, Interval
    from brainslice.metrics.intervals.bootstrap import clustered_bootstrap, resample
    from brainslice.metrics.intervals.exact import exact_by_group
    from brainslice.metrics.predictive_values import PredictiveValues
    from brainslice.metrics.scoring import TITLES, Score
    from brainslice.metrics.subgroups import BinaryPredictions, SubgroupRow, size_bins, subgroup_rows

__all__ = [
    "HEADLINES",
    "LEVEL",
    "TITLES",
    "Abstention",
    "AbstentionInputs",
    "BinaryPredictions",
    "BinaryScores",
    "DecisionCurve",
    "Evaluation",
    "EvaluationSettings",
    "Interval",
    "McNemar",
    "PredictionSetQuality",
    "PredictiveValues",
    "Reliability",
    "Score",
    "ScoredSet",
    "SubgroupRow",
    "accuracy",
    "bin_by_confidence",
    "binary_scores",
    "clustered_bootstrap",
    "compare_predictions",
    "confusion",
    "decision_curve",
    "evaluate",
    "exact_by_group",
    "expected_calibration_error",
    "fit_baseline",
    "format_p_value",
    "macro_f1",
    "negative_log_likelihood",
    "resample",
    "size_bins",
    "subgroup_rows",
]

_HOMES = {
    "abstention": ("Abstention", "AbstentionInputs", "PredictionSetQuality"),
    "baseline": ("fit_baseline",),
    "binary": ("BinaryScores", "binary_scores", "compare_predictions"),
    "calibration": ("bin_by_confidence", "expected_calibration_error", "negative_log_likelihood"),
    "classification": ("accuracy", "confusion", "macro_f1"),
    "comparison": ("McNemar", "format_p_value"),
    "curves.decision_curve": ("DecisionCurve", "decision_curve"),
    "curves.reliability_diagram": ("Reliability",),
    "evaluation": ("Evaluation", "EvaluationSettings", "HEADLINES", "ScoredSet", "evaluate"),
    "intervals.asymptotic": ("Interval", "LEVEL"),
    "intervals.bootstrap": ("clustered_bootstrap", "resample"),
    "intervals.exact": ("exact_by_group",),
    "predictive_values": ("PredictiveValues",),
    "scoring": ("Score", "TITLES"),
    "subgroups": ("BinaryPredictions", "SubgroupRow", "size_bins", "subgroup_rows"),
}

__getattr__ = lazy_names(__name__, _HOMES)
