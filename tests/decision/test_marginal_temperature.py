from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from brainslice.decision.marginal_temperature import fit_marginal_temperature, marginal_losses, tumour_probabilities
from brainslice.decision.temperature import Temperature
from brainslice.errors import CalibrationError

HEALTHY = 2


def drawn(seed: int, n: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """Honest logits, and labels drawn from what they say."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=1.5, size=(n, 4))
    return logits, rng.random(n) < 1 - softmax(logits, axis=1)[:, HEALTHY]


def allowed_of(tumours: np.ndarray) -> np.ndarray:
    allowed = np.zeros((len(tumours), 4), bool)
    allowed[:, HEALTHY] = ~tumours
    allowed[:, [0, 1, 3]] = tumours[:, None]
    return allowed


@given(st.integers(0, 2**16), st.floats(0.2, 5.0))
def test_a_loss_is_minus_the_logarithm_of_the_probability_of_the_label(seed: int, heat: float) -> None:
    logits, tumours = drawn(seed, 30)
    chances = tumour_probabilities(logits, HEALTHY, Temperature(heat))
    expected = -np.log(np.where(tumours, chances, 1 - chances))
    assert marginal_losses(logits, allowed_of(tumours), Temperature(heat)) == pytest.approx(
        expected, rel=1e-6, abs=1e-9
    )


def test_no_logit_is_too_large() -> None:
    logits = np.array([[900.0, -900.0, 0.0, 0.0], [-900.0, -900.0, 900.0, -900.0]])
    losses = marginal_losses(logits, allowed_of(np.array([True, True])), Temperature(0.1))
    assert np.isfinite(losses).all()
    assert losses[0] == pytest.approx(0)


@pytest.mark.parametrize("seed", range(5))
def test_the_temperature_is_where_an_optimiser_finds_it(seed: int) -> None:
    logits, tumours = drawn(seed, 300)
    allowed = allowed_of(tumours)

    def loss(logarithm: float) -> float:
        losses = marginal_losses(logits, allowed, Temperature(float(np.exp(logarithm))))
        return float(losses[tumours].mean() + losses[~tumours].mean())

    expected = np.exp(minimize_scalar(loss, bounds=(-2.9, 2.9), method="bounded", options={"xatol": 1e-8}).x)
    assert fit_marginal_temperature(logits, tumours, HEALTHY).value == pytest.approx(expected, rel=1e-3)


def test_logits_that_were_made_too_sure_are_cooled_by_the_same_factor() -> None:
    logits, tumours = drawn(1)
    once = fit_marginal_temperature(logits, tumours, HEALTHY).value
    assert fit_marginal_temperature(3 * logits, tumours, HEALTHY).value == pytest.approx(3 * once, rel=1e-3)


def test_scans_of_one_kind_fit_no_temperature() -> None:
    logits, tumours = drawn(0, 20)
    with pytest.raises(CalibrationError, match="tumours and healthy scans"):
        fit_marginal_temperature(logits, np.ones_like(tumours), HEALTHY)


def test_scans_without_a_mistake_fit_none_either() -> None:
    logits = np.array([[5.0, 0, 0, 0], [0.0, 0, 5, 0]])
    with pytest.raises(CalibrationError, match="keep the old one"):
        fit_marginal_temperature(logits, np.array([True, False]), HEALTHY)
