"""Evaluation of a bundle on its test set and on other sites.

Public names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.evaluation.ensemble_gain import EnsembleGain, measure_gains
    from brainslice.evaluation.error_analysis import ErrorAnalysis, analyse_errors
    from brainslice.evaluation.explanation import explain
    from brainslice.evaluation.external_validation import ExternalValidation, validate_external
    from brainslice.evaluation.operating_points import OperatingPointRequest, find_operating_point
    from brainslice.evaluation.scoring import ScoredTestSet, evaluate_test_set
    from brainslice.evaluation.tuning_data import TuningScans, folder_scans, validation_scans

__all__ = [
    "EnsembleGain",
    "ErrorAnalysis",
    "ExternalValidation",
    "OperatingPointRequest",
    "ScoredTestSet",
    "TuningScans",
    "analyse_errors",
    "evaluate_test_set",
    "explain",
    "find_operating_point",
    "folder_scans",
    "measure_gains",
    "validate_external",
    "validation_scans",
]

_HOMES = {
    "ensemble_gain": ("EnsembleGain", "measure_gains"),
    "error_analysis": ("ErrorAnalysis", "analyse_errors"),
    "explanation": ("explain",),
    "external_validation": ("ExternalValidation", "validate_external"),
    "operating_points": ("OperatingPointRequest", "find_operating_point"),
    "scoring": ("ScoredTestSet", "evaluate_test_set"),
    "tuning_data": ("TuningScans", "folder_scans", "validation_scans"),
}

__getattr__ = lazy_names(__name__, _HOMES)
