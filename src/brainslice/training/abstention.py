"""What held-out scans teach a bundle about when to call a person: prediction sets, and the gate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from brainslice.arrays import Features, Groups, Labels, Logits
from brainslice.bundle.abstention import StoredConformalSets, StoredOodDetector
from brainslice.config import DecisionConfig
from brainslice.decision.conformal import SetMethod, fit_conformal
from brainslice.decision.out_of_distribution import fit_ood_detector
from brainslice.decision.temperature import Temperature

DETECTOR_SCANS = 2000
"""As many training scans show all directions that features take: more change nothing, and each must be run."""


def fit_prediction_sets(
    logits: Logits,
    labels: Labels,
    groups: Groups,
    temperature: Temperature,
    names: Sequence[str],
    config: DecisionConfig,
) -> tuple[StoredConformalSets, tuple[str, ...]]:
    """Fit prediction sets on held-out scans.

    Args:
        logits: Raw scores ``(n, k)``.
        labels: The true classes ``(n,)``.
        groups: The group of each scan ``(n,)``.
        temperature: The model's own.
        names: The classes, in the order of the logits.
        config: What is promised.

    Returns:
        What the bundle stores, and a note for each class that is in every set.
    """
    probabilities = temperature.probabilities(logits)
    grouped = groups if config.by_group else None
    fitted = fit_conformal(probabilities, labels, config.coverage, SetMethod(config.method), grouped)
    unit = "groups" if config.by_group else "scans"
    notes = [
        f"{names[place]} is in every prediction set: {fitted.groups[place]} validation {unit} of it are too few for a "
        f"coverage of {config.coverage:g}"
        for place in fitted.unbounded
    ]
    return StoredConformalSets.of(fitted), tuple(notes)


def fit_detector(
    training: Features, held_out: Float[np.ndarray, "m f"], config: DecisionConfig, path: Path
) -> StoredOodDetector:
    """Fit the gate and write its arrays.

    Args:
        training: What the head sees of training scans ``(n, f)``.
        held_out: The same of scans that trained nothing ``(m, f)``.
        config: How many of those may be refused.
        path: Where the arrays shall lie.

    Returns:
        What the bundle says of it.

    Raises:
        ResourceError: The disk is full.
    """
    gate = fit_ood_detector(training, held_out, config.ood_rejection_rate)
    gate.save(path)
    return StoredOodDetector(
        limit=gate.limit,
        components=gate.components.shape[1],
        training_scans=len(training),
        validation_scans=len(held_out),
        rejection_rate=float((gate.ood_score(held_out) > 1).mean()),
    )


def detector_scans(training: Labels, seed: int) -> Int[np.ndarray, " m"]:
    """Draw the training scans that the gate learns from.

    Args:
        training: The places of all training scans ``(n,)``.
        seed: The seed of the run.

    Returns:
        The places of at most ``DETECTOR_SCANS`` of them ``(m,)``, in order.
    """
    count = min(DETECTOR_SCANS, len(training))
    return np.sort(np.random.default_rng(seed).choice(training, size=count, replace=False))
