"""A temperature that was hidden is found again, and probabilities at it mean what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from brainslice.decision.temperature import Temperature, fit_temperature
from brainslice.metrics.calibration import (
    bin_by_confidence,
    expected_calibration_error,
    negative_log_likelihood,
)


def draw(rng: np.random.Generator, probabilities: np.ndarray) -> np.ndarray:
    """Draw true classes that the probabilities are honest about."""
    return np.asarray((probabilities.cumsum(axis=1) < rng.random((len(probabilities), 1))).sum(axis=1).clip(max=3))


@settings(max_examples=30)
@given(st.floats(0.5, 4.0), st.integers(0, 2**16))
def test_recovers_the_temperature_that_distorted_honest_logits(heat: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    honest = rng.normal(scale=2.0, size=(4000, 4))
    labels = draw(rng, Temperature(1.0).probabilities(honest))
    assert fit_temperature(honest * heat, labels).value == pytest.approx(heat, rel=0.15)


@pytest.mark.parametrize("seed", range(4))
def test_the_fitted_temperature_is_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.arange(900) % 4
    features = rng.normal(size=(900, 12)) * 2 + np.eye(4, 12)[labels] * 2
    # Almost no penalty on few scans: a classifier far too sure of itself.
    model = LogisticRegression(C=1e4, max_iter=5000).fit(features[:60], labels[:60])
    oracle = CalibratedClassifierCV(FrozenEstimator(model), method="temperature", ensemble=False)
    oracle.fit(features[60:500], labels[60:500])
    ours = fit_temperature(model.decision_function(features[60:500]), labels[60:500])
    assert ours.value > 1.2
    assert ours.probabilities(model.decision_function(features[500:])) == pytest.approx(
        oracle.predict_proba(features[500:]), abs=1e-5
    )


def test_calibrated_draws_have_hardly_any_calibration_error() -> None:
    rng = np.random.default_rng(0)
    honest = Temperature(1.0).probabilities(rng.normal(scale=2.0, size=(200_000, 4)))
    labels = draw(rng, honest)
    assert expected_calibration_error(bin_by_confidence(honest, labels)) < 0.005


def test_overconfidence_shows_as_error_and_the_fitted_temperature_removes_it() -> None:
    rng = np.random.default_rng(1)
    honest = rng.normal(scale=2.0, size=(100_000, 4))
    labels = draw(rng, Temperature(1.0).probabilities(honest))
    hot, held_out = honest * 2.5, slice(50_000, None)
    fitted = fit_temperature(hot[:50_000], labels[:50_000])
    errors = [
        expected_calibration_error(bin_by_confidence(temperature.probabilities(hot[held_out]), labels[held_out]))
        for temperature in (Temperature(1.0), fitted)
    ]
    assert errors[0] > 0.1
    assert errors[1] < 0.01


def test_the_likelihood_of_probabilities_is_that_of_their_logits() -> None:
    rng = np.random.default_rng(2)
    logits, labels = rng.normal(scale=8.0, size=(500, 4)), rng.integers(4, size=500)
    from_logits = (logsumexp(logits, axis=1) - logits[np.arange(500), labels]).mean()
    assert negative_log_likelihood(Temperature(1.0).probabilities(logits), labels) == pytest.approx(from_logits)
