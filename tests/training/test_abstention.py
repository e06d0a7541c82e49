from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from brainslice.config import DecisionConfig
from brainslice.decision.conformal import fit_conformal
from brainslice.decision.out_of_distribution import OutOfDistributionDetector
from brainslice.decision.temperature import Temperature
from brainslice.training.abstention import DETECTOR_SCANS, detector_scans, fit_detector, fit_prediction_sets

NAMES = ("glioma", "meningioma", "no_tumor", "pituitary")
HEAT = Temperature(1.5)


def drawn(n: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=n)
    return rng.normal(size=(n, 4)) + 2 * np.eye(4)[labels], labels, np.arange(n) // 10


def test_the_stored_sets_are_those_of_the_calibrated_probabilities() -> None:
    logits, labels, groups = drawn()
    stored, notes = fit_prediction_sets(logits, labels, groups, HEAT, NAMES, DecisionConfig(coverage=0.8))
    assert stored.conformal_sets() == fit_conformal(HEAT.probabilities(logits), labels, 0.8)
    assert notes == ()


def test_by_group_too_few_groups_of_a_class_are_told_by_its_name() -> None:
    logits, labels, _ = drawn()
    groups = np.where(labels == 1, 0, np.arange(200))
    stored, notes = fit_prediction_sets(logits, labels, groups, HEAT, NAMES, DecisionConfig(by_group=True))
    assert stored.groups[1] == 1
    assert stored.quantiles[1] is None
    (note,) = notes
    assert note.startswith("meningioma is in every prediction set: 1 validation groups")


def test_the_gate_that_is_stored_refuses_the_share_it_says(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    training, held_out = rng.normal(5, 1, (300, 40)), rng.normal(5, 1, (100, 40))
    stored = fit_detector(training, held_out, DecisionConfig(ood_rejection_rate=0.1), tmp_path / "outliers.npz")
    gate = OutOfDistributionDetector.read(tmp_path / "outliers.npz", stored.limit)
    assert (gate.ood_score(held_out) > 1).mean() == stored.rejection_rate == pytest.approx(0.1, abs=0.011)
    assert (stored.training_scans, stored.validation_scans, stored.components) == (300, 100, gate.components.shape[1])


@pytest.mark.parametrize("count", [1, 50, 3 * DETECTOR_SCANS])
def test_the_gate_learns_from_different_training_scans_and_from_the_same_ones_each_time(count: int) -> None:
    training = np.random.default_rng(2).permutation(5 * count)[:count]
    taken = detector_scans(training, 7)
    assert len(taken) == min(count, DETECTOR_SCANS) == len(np.unique(taken))
    assert np.isin(taken, training).all()
    np.testing.assert_array_equal(taken, detector_scans(training, 7))
