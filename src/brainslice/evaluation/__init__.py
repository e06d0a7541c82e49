"""Evaluation of a bundle on its test set and on other sites.

Public names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.evaluation.ensemble_gain import EnsembleGain, measure_gains, member_split
    from brainslice.evaluation.error_analysis import ErrorAnalysis, analyse_errors
    from brainslice.evaluation.explanation import Explained, explain
    from brainslice.evaluation.external_validation import ExternalValidation, validate_external
    from brainslice.evaluation.mistakes import Mistake
    from brainslice.evaluation.operating_points import (
        CURVE_FILE,
        OperatingPointRequest,
        OperatingPointResult,
        curve_of,
        find_operating_point,
        operating_curve,
    )
    from brainslice.evaluation.scoring import ScoredTestSet, evaluate_test_set, evaluation_settings
    from brainslice.evaluation.site_comparison import ComparisonRow, Method, compare_methods
    from brainslice.evaluation.tuning_data import TuningScans, folder_scans, validation_scans

__all__ = [
    "CURVE_FILE",
    "ComparisonRow",
    "EnsembleGain",
    "ErrorAnalysis",
    "Explained",
    "ExternalValidation",
    "Method",
    "Mistake",
    "OperatingPointRequest",
    "OperatingPointResult",
    "ScoredTestSet",
    "TuningScans",
    "analyse_errors",
    "compare_methods",
    "curve_of",
    "evaluate_test_set",
    "evaluation_settings",
    "explain",
    "find_operating_point",
    "folder_scans",
    "measure_gains",
    "member_split",
    "operating_curve",
    "validate_external",
    "validation_scans",
]

_HOMES = {
    "ensemble_gain": ("EnsembleGain", "measure_gains", "member_split"),
    "error_analysis": ("ErrorAnalysis", "analyse_errors"),
    "explanation": ("Explained", "explain"),
    "external_validation": ("ExternalValidation", "validate_external"),
    "mistakes": ("Mistake",),
    "operating_points": (
        "CURVE_FILE",
        "OperatingPointRequest",
        "OperatingPointResult",
        "curve_of",
        "find_operating_point",
        "operating_curve",
    ),
    "scoring": ("ScoredTestSet", "evaluate_test_set", "evaluation_settings"),
    "site_comparison": ("ComparisonRow", "Method", "compare_methods"),
    "tuning_data": ("TuningScans", "folder_scans", "validation_scans"),
}

__getattr__ = lazy_names(__name__, _HOMES)
