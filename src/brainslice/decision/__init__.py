"""From logits to a verdict; public names are loaded on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.decision.conformal import ConformalSets, SetMethod, fit_conformal
    from brainslice.decision.image_quality import image_faults
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
    from brainslice.decision.temperature import (
        MAX_TEMPERATURE,
        MIN_TEMPERATURE,
        Temperature,
        fit_marginal_temperature,
        fit_temperature,
        marginal_losses,
        tumour_probabilities,
    )
    from brainslice.decision.threshold_search import (
        Assurance,
        SelectedThreshold,
        TumourScores,
        guaranteed_threshold,
        search_threshold,
    )
    from brainslice.decision.uncertainty import for_review, most_uncertain_first, mutual_information, uncertainty_scores
    from brainslice.decision.verdict import Reason, Verdict, VerdictInputs, decide

__getattr__ = lazy_names(__name__)
