from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss

from brainslice.config import CalibrationConfig
from brainslice.decision.temperature import Temperature, fit_temperature
from brainslice.training.calibration import calibrate, validation_of

RNG = np.random.default_rng(3)
LABELS = RNG.integers(0, 3, 300)
LOGITS = RNG.normal(0, 2, (300, 3)) + 2 * np.eye(3)[LABELS]


def test_the_temperature_is_the_fitted_one() -> None:
    temperature, notes = calibrate(LOGITS, LABELS, CalibrationConfig())
    assert temperature == fit_temperature(LOGITS, LABELS)
    assert notes == ()


def test_where_none_is_wanted_it_is_one_and_that_is_said() -> None:
    temperature, notes = calibrate(LOGITS, LABELS, CalibrationConfig(temperature=False))
    assert temperature.value == 1.0
    assert "calibration.temperature is off" in notes[0]


def test_where_none_fits_it_is_one_and_why_is_said() -> None:
    temperature, notes = calibrate(np.eye(3)[LABELS], LABELS, CalibrationConfig())
    assert temperature.value == 1.0
    assert "no temperature could be fitted, 1 is used" in notes[0]


def test_a_temperature_out_of_range_is_bounded_and_that_is_said() -> None:
    temperature, notes = calibrate(LOGITS * 1e4, LABELS, CalibrationConfig())
    assert temperature.value == 20.0
    assert "is outside 0.05 to 20; 20 is used" in notes[0]


def test_the_summary_is_of_the_probabilities_after_the_temperature() -> None:
    found = validation_of(LOGITS, LABELS, Temperature(2.0), 15)
    probabilities = Temperature(2.0).probabilities(LOGITS)
    assert found.n == 300
    assert found.accuracy == pytest.approx((LOGITS.argmax(axis=1) == LABELS).mean())
    assert found.nll == pytest.approx(log_loss(LABELS, probabilities))
    assert 0 < found.ece < 1
