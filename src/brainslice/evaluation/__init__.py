"""Evaluation of a bundle on its test set and on other sites; public names are loaded on first use."""

from __future__ import annotations

from brainslice.lazy import lazy_names

_MODULES = {
    "ensemble_gain": "EnsembleGain measure_gains member_split",
    "error_analysis": "ErrorAnalysis Mistake analyse_errors",
    "explanation": "Explained explain",
    "external_validation": "ComparisonRow ExternalValidation Method compare_methods validate_external",
    "operating_points": (
        "OperatingPointRequest OperatingPointResult find_operating_point operating_curve tuning_decision_curve"
    ),
    "robustness": "Robustness measure_robustness",
    "scoring": "ScoredTestSet evaluate_test_set evaluation_settings",
    "tuning_data": "TuningScans folder_scans validation_scans",
}

__getattr__ = lazy_names(__name__, _MODULES)
