"""Metrics with confidence intervals; public names are loaded on first use."""

from __future__ import annotations

from brainslice.lazy import lazy_names

_MODULES = {
    "abstention": "Abstention AbstentionInputs PredictionSetQuality",
    "baseline": "fit_baseline",
    "binary": "BinaryScores binary_scores compare_predictions",
    "bootstrap": "clustered_bootstrap resample",
    "calibration": "Reliability bin_by_confidence expected_calibration_error negative_log_likelihood",
    "classification": "accuracy confusion macro_f1",
    "comparison": "McNemar format_p_value",
    "curves.decision_curve": "DecisionCurve PredictiveValues decision_curve",
    "evaluation": "HEADLINES Evaluation EvaluationSettings ScoredSet evaluate",
    "intervals": "LEVEL Interval exact_by_group",
    "scoring": "TITLES Score",
    "subgroups": "BinaryPredictions SubgroupRow size_bins subgroup_rows",
}

__getattr__ = lazy_names(__name__, _MODULES)
