"""Metrics with confidence intervals; public names are loaded on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.metrics.abstention import Abstention, AbstentionInputs, PredictionSetQuality
    from brainslice.metrics.baseline import fit_baseline
    from brainslice.metrics.binary import BinaryScores, binary_scores, compare_predictions
    from brainslice.metrics.bootstrap import Resampling, clustered_bootstrap, resample
    from brainslice.metrics.calibration import (
        Reliability,
        bin_by_confidence,
        expected_calibration_error,
        negative_log_likelihood,
    )
    from brainslice.metrics.classification import accuracy, confusion, macro_f1
    from brainslice.metrics.comparison import McNemar, format_p_value
    from brainslice.metrics.curves.decision_curve import (
        DecisionCurve,
        PredictiveValues,
        decision_curve,
        predictive_values,
    )
    from brainslice.metrics.curves.ranking import area_under_roc
    from brainslice.metrics.evaluation import HEADLINES, Evaluation, EvaluationSettings, ScoredSet, evaluate
    from brainslice.metrics.intervals import LEVEL, Interval, exact_by_group
    from brainslice.metrics.scoring import TITLES, Score, ScoringInputs, calibration_scores, mean_score, proportion
    from brainslice.metrics.source_controlled import (
        TWINS,
        ScoredSlices,
        ScoredTwins,
        SourceControlled,
        score_twins,
        slice_scores,
    )
    from brainslice.metrics.subgroups import BinaryPredictions, SubgroupRow, size_bins, subgroup_rows

__getattr__ = lazy_names(__name__)
