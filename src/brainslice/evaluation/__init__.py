"""Evaluation of a bundle on its test set and on other sites; public names are loaded on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.evaluation.ensemble_gain import EnsembleGain, measure_gains, member_split
    from brainslice.evaluation.error_analysis import ErrorAnalysis, Mistake, analyse_errors
    from brainslice.evaluation.explanation import Explained, explain
    from brainslice.evaluation.external_validation import (
        ComparisonRow,
        ExternalValidation,
        Method,
        compare_methods,
        validate_external,
    )
    from brainslice.evaluation.half_precision_parity import measure_half_precision
    from brainslice.evaluation.operating_points import (
        CURVE_FILE,
        OperatingPointRequest,
        OperatingPointResult,
        find_operating_point,
        operating_curve,
        tuning_decision_curve,
    )
    from brainslice.evaluation.robustness import Condition, Robustness, measure_robustness
    from brainslice.evaluation.scoring import ScoredTestSet, evaluate_test_set, evaluation_settings
    from brainslice.evaluation.source_controlled import SliceRow, read_slices, score_slices
    from brainslice.evaluation.tuning_data import TuningScans, folder_scans, split_of, validation_scans

__getattr__ = lazy_names(__name__)
