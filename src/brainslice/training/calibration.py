"""Fit temperature, prediction sets and the out-of-distribution detector on held-out scans."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from brainslice.array_types import Float, Int
from brainslice.arrays import Features, Groups, Labels, Logits
from brainslice.bundle import StoredConformalSets, StoredOodDetector, Validation
from brainslice.config import CalibrationConfig, DecisionConfig
from brainslice.decision import (
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
    SetMethod,
    Temperature,
    fit_conformal,
    fit_ood_detector,
    fit_temperature,
)
from brainslice.errors import CalibrationError
from brainslice.metrics import bin_by_confidence, expected_calibration_error, negative_log_likelihood

DETECTOR_SCANS = 2000
"""Number of training scans the detector is fitted on; more take time and change nothing."""


def calibrate(logits: Logits, labels: Labels, config: CalibrationConfig) -> tuple[Temperature, tuple[str, ...]]:
    """Fit a temperature on held-out logits ``(n, k)``.

    Returns:
        The temperature, and a note where it is not the fitted one.
    """
    if not config.temperature:
        return Temperature(1.0), ("calibration.temperature is off: probabilities are as the network gives them",)
    try:
        fitted = fit_temperature(logits, labels)
    except CalibrationError as error:
        return Temperature(1.0), (f"no temperature could be fitted, 1 is used: {error}",)
    if MIN_TEMPERATURE <= fitted.value <= MAX_TEMPERATURE:
        return fitted, ()
    bounded = Temperature(min(max(fitted.value, MIN_TEMPERATURE), MAX_TEMPERATURE))
    bounds = f"{MIN_TEMPERATURE:g} to {MAX_TEMPERATURE:g}"
    note = f"the fitted temperature {fitted.value:.3g} is outside {bounds}; {bounded.value:g} is used"
    return bounded, (note,)


def validation_of(logits: Logits, labels: Labels, temperature: Temperature, bins: int) -> Validation:
    """Compute the validation metrics that a bundle stores, from logits ``(n, k)``."""
    probabilities = temperature.probabilities(logits)
    return Validation(
        n=len(labels),
        accuracy=float((probabilities.argmax(axis=1) == labels).mean()),
        nll=negative_log_likelihood(probabilities, labels),
        ece=expected_calibration_error(bin_by_confidence(probabilities, labels, bins)),
    )


def fit_prediction_sets(
    logits: Logits,
    labels: Labels,
    groups: Groups,
    temperature: Temperature,
    names: Sequence[str],
    config: DecisionConfig,
) -> tuple[StoredConformalSets, tuple[str, ...]]:
    """Fit prediction sets on held-out logits ``(n, k)``; ``names`` are the classes in their order.

    Returns:
        The quantiles as the bundle stores them, and a note for each class that is in every set.
    """
    probabilities = temperature.probabilities(logits)
    grouped = groups if config.by_group else None
    fitted = fit_conformal(probabilities, labels, config.coverage, SetMethod(config.method), grouped)
    unit = "groups" if config.by_group else "scans"
    notes = [
        f"{names[index]} is in every prediction set: {fitted.groups[index]} validation {unit} of it are too few for a "
        f"coverage of {config.coverage:g}"
        for index in fitted.unbounded
    ]
    return StoredConformalSets.of(fitted), tuple(notes)


def fit_detector(
    training: Features, held_out: Float[np.ndarray, "m f"], config: DecisionConfig, path: Path
) -> StoredOodDetector:
    """Fit the detector of out-of-distribution scans on pooled features ``(n, f)`` and ``(m, f)``, and write its arrays.

    Raises:
        ResourceError: The disk is full.
    """
    detector = fit_ood_detector(training, held_out, config.ood_rejection_rate)
    detector.save(path)
    return StoredOodDetector(
        limit=detector.limit,
        components=detector.components.shape[1],
        training_scans=len(training),
        validation_scans=len(held_out),
        rejection_rate=float((detector.ood_score(held_out) > 1).mean()),
    )


def detector_scans(training: Labels, seed: int) -> Int[np.ndarray, " m"]:
    """Draw the rows of the training scans that the detector is fitted on.

    Returns:
        At most ``DETECTOR_SCANS`` of the rows ``(m,)``, in order.
    """
    count = min(DETECTOR_SCANS, len(training))
    return np.sort(np.random.default_rng(seed).choice(training, size=count, replace=False))
