"""From logits to a verdict.

Public names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.decision.conformal import ConformalSets, SetMethod, fit_conformal
    from brainslice.decision.image_quality import image_faults
    from brainslice.decision.marginal_temperature import fit_marginal_temperature, marginal_losses, tumour_probabilities
    from brainslice.decision.mc_dropout import HEAD_FILE, LinearHead
    from brainslice.decision.operating_point import (
        TARGETS,
        Criterion,
        MeasuredOn,
        MeasuredRate,
        OperatingPoint,
        Target,
        Unit,
        find_point,
    )
    from brainslice.decision.out_of_distribution import DETECTOR_FILE, OutOfDistributionDetector, fit_ood_detector
    from brainslice.decision.temperature import Temperature, fit_temperature
    from brainslice.decision.threshold_search import (
        Assurance,
        SelectedThreshold,
        TumourScores,
        guaranteed_threshold,
        search_threshold,
    )
    from brainslice.decision.uncertainty import mutual_information
    from brainslice.decision.verdict import Reason, Verdict, VerdictInputs, decide
    from brainslice.decision.worklist import doubt_scores, for_review, most_doubtful_first

__all__ = [
    "DETECTOR_FILE",
    "HEAD_FILE",
    "TARGETS",
    "Assurance",
    "ConformalSets",
    "Criterion",
    "LinearHead",
    "MeasuredOn",
    "MeasuredRate",
    "OperatingPoint",
    "OutOfDistributionDetector",
    "Reason",
    "SelectedThreshold",
    "SetMethod",
    "Target",
    "Temperature",
    "TumourScores",
    "Unit",
    "Verdict",
    "VerdictInputs",
    "decide",
    "doubt_scores",
    "find_point",
    "fit_conformal",
    "fit_marginal_temperature",
    "fit_ood_detector",
    "fit_temperature",
    "for_review",
    "guaranteed_threshold",
    "image_faults",
    "marginal_losses",
    "most_doubtful_first",
    "mutual_information",
    "search_threshold",
    "tumour_probabilities",
]

_HOMES = {
    "conformal": ("ConformalSets", "SetMethod", "fit_conformal"),
    "image_quality": ("image_faults",),
    "marginal_temperature": ("fit_marginal_temperature", "marginal_losses", "tumour_probabilities"),
    "mc_dropout": ("HEAD_FILE", "LinearHead"),
    "operating_point": (
        "Criterion",
        "MeasuredOn",
        "MeasuredRate",
        "OperatingPoint",
        "TARGETS",
        "Target",
        "Unit",
        "find_point",
    ),
    "out_of_distribution": ("DETECTOR_FILE", "OutOfDistributionDetector", "fit_ood_detector"),
    "temperature": ("Temperature", "fit_temperature"),
    "threshold_search": ("Assurance", "SelectedThreshold", "TumourScores", "guaranteed_threshold", "search_threshold"),
    "uncertainty": ("mutual_information",),
    "verdict": ("Reason", "Verdict", "VerdictInputs", "decide"),
    "worklist": ("doubt_scores", "for_review", "most_doubtful_first"),
}

__getattr__ = lazy_names(__name__, _HOMES)
