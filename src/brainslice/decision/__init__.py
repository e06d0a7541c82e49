"""From logits to a verdict; public names are loaded on first use."""

from __future__ import annotations

from brainslice.lazy import lazy_names

_MODULES = {
    "conformal": "ConformalSets SetMethod fit_conformal",
    "image_quality": "image_faults",
    "mc_dropout": "HEAD_FILE LinearHead",
    "operating_point": "TARGETS Criterion MeasuredOn MeasuredRate OperatingPoint Target Unit find_point",
    "out_of_distribution": "DETECTOR_FILE OutOfDistributionDetector fit_ood_detector",
    "temperature": "Temperature fit_marginal_temperature fit_temperature marginal_losses tumour_probabilities",
    "threshold_search": "Assurance SelectedThreshold TumourScores guaranteed_threshold search_threshold",
    "uncertainty": "for_review most_uncertain_first mutual_information uncertainty_scores",
    "verdict": "Reason Verdict VerdictInputs decide",
}

__getattr__ = lazy_names(__name__, _MODULES)
