from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import log_loss

from brainslice.config import CalibrationConfig, DecisionConfig
from brainslice.decision.conformal import fit_conformal
from brainslice.decision.out_of_distribution import OutOfDistributionDetector
from brainslice.decision.temperature import Temperature, fit_temperature
from brainslice.training.calibration import (
    DETECTOR_SCANS,
    calibrate,
    detector_scans,
    fit_detector,
    fit_prediction_sets,
    validation_of,
)

RNG = np.random.default_rng(3)
LABELS = RNG.integers(0, 3, 300)
LOGITS = RNG.normal(0, 2, (300, 3)) + 2 * np.eye(3)[LABELS]
NAMES = ("glioma", "meningioma", "no_tumor", "pituitary")
TEMPERATURE = Temperature(1.5)


def test_temperature_is_fitted() -> None:
    temperature, notes = calibrate(LOGITS, LABELS, CalibrationConfig())
    assert temperature == fit_temperature(LOGITS, LABELS)
    assert notes == ()


def test_temperature_is_one_when_off() -> None:
    temperature, notes = calibrate(LOGITS, LABELS, CalibrationConfig(temperature=False))
    assert temperature.value == 1.0
    assert "calibration.temperature is off" in notes[0]


def test_temperature_is_one_where_none_fits() -> None:
    temperature, notes = calibrate(np.eye(3)[LABELS], LABELS, CalibrationConfig())
    assert temperature.value == 1.0
    assert "no temperature could be fitted, 1 is used" in notes[0]


def test_temperature_is_bounded() -> None:
    temperature, notes = calibrate(LOGITS * 1e4, LABELS, CalibrationConfig())
    assert temperature.value == 20.0
    assert "is outside 0.05 to 20; 20 is used" in notes[0]


def test_validation_uses_calibrated_probabilities() -> None:
    found = validation_of(LOGITS, LABELS, Temperature(2.0), 15)
    probabilities = Temperature(2.0).probabilities(LOGITS)
    assert found.n == 300
    assert found.accuracy == pytest.approx((LOGITS.argmax(axis=1) == LABELS).mean())
    assert found.nll == pytest.approx(log_loss(LABELS, probabilities))
    assert 0 < found.ece < 1


def drawn(n: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=n)
    return rng.normal(size=(n, 4)) + 2 * np.eye(4)[labels], labels, np.arange(n) // 10


def test_prediction_sets_use_calibrated_probabilities() -> None:
    logits, labels, groups = drawn()
    stored, notes = fit_prediction_sets(logits, labels, groups, TEMPERATURE, NAMES, DecisionConfig(coverage=0.8))
    assert stored.conformal_sets() == fit_conformal(TEMPERATURE.probabilities(logits), labels, 0.8)
    assert notes == ()


def test_note_names_a_class_with_too_few_groups() -> None:
    logits, labels, _ = drawn()
    groups = np.where(labels == 1, 0, np.arange(200))
    stored, notes = fit_prediction_sets(logits, labels, groups, TEMPERATURE, NAMES, DecisionConfig(by_group=True))
    assert stored.groups[1] == 1
    assert stored.quantiles[1] is None
    (note,) = notes
    assert note.startswith("meningioma is in every prediction set: 1 validation groups")


def test_detector_rejects_the_stored_share(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    training, held_out = rng.normal(5, 1, (300, 40)), rng.normal(5, 1, (100, 40))
    stored = fit_detector(training, held_out, DecisionConfig(ood_rejection_rate=0.1), tmp_path / "outliers.npz")
    gate = OutOfDistributionDetector.read(tmp_path / "outliers.npz", stored.limit)
    assert (gate.ood_score(held_out) > 1).mean() == stored.rejection_rate == pytest.approx(0.1, abs=0.011)
    assert (stored.training_scans, stored.validation_scans, stored.components) == (300, 100, gate.components.shape[1])


@pytest.mark.parametrize("count", [1, 50, 3 * DETECTOR_SCANS])
def test_detector_scans_are_distinct_and_reproducible(count: int) -> None:
    training = np.random.default_rng(2).permutation(5 * count)[:count]
    taken = detector_scans(training, 7)
    assert len(taken) == min(count, DETECTOR_SCANS) == len(np.unique(taken))
    assert np.isin(taken, training).all()
    np.testing.assert_array_equal(taken, detector_scans(training, 7))
