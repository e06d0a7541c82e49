from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax

from brainslice.decision.temperature import (
    Temperature,
    fit_marginal_temperature,
    fit_temperature,
    marginal_losses,
    tumour_probabilities,
)
from brainslice.errors import CalibrationError

LOGITS = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=8),
    elements=st.floats(-1e6, 1e6),
)


def nll_at_inverse(logits: np.ndarray, labels: np.ndarray, inverse: float) -> float:
    hot = logits * inverse
    return float((logsumexp(hot, axis=1) - hot[np.arange(len(labels)), labels]).mean())


def nll(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    return nll_at_inverse(logits, labels, 1 / temperature)


@given(LOGITS, st.floats(1e-3, 1e3))
def test_probabilities_sum_to_one(logits: np.ndarray, value: float) -> None:
    probabilities = Temperature(value).probabilities(logits)
    assert np.isfinite(probabilities).all()
    assert probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-12)


@given(LOGITS, st.floats(1e-3, 1e3))
def test_a_temperature_never_changes_the_order_of_the_classes(logits: np.ndarray, value: float) -> None:
    probabilities = Temperature(value).probabilities(logits)
    for row, chances in zip(logits, probabilities, strict=True):
        assert (np.diff(chances[np.argsort(row)]) >= 0).all()


def test_a_temperature_of_one_is_the_plain_softmax() -> None:
    logits = np.array([[1.0, 2.0, 3.0]], np.float32)
    assert Temperature(1.0).probabilities(logits)[0] == pytest.approx(
        np.exp([1, 2, 3]) / np.exp([1, 2, 3]).sum(), rel=1e-12
    )


def test_logits_too_large_for_exp_still_give_probabilities() -> None:
    assert Temperature(1.0).probabilities(np.array([[1e5, 0.0]])) == pytest.approx(np.array([[1.0, 0.0]]))


@given(st.integers(0, 2**16), st.floats(0.3, 5.0))
def test_fit_equals_scipy_optimize(seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(4, size=200)
    logits = rng.normal(scale=spread, size=(200, 4)) + 2.0 * np.eye(4)[labels]
    assume((logits.argmax(axis=1) != labels).any())
    loss = partial(nll_at_inverse, logits, labels)
    oracle = minimize_scalar(loss, bounds=(1e-3, 50), method="bounded", options={"xatol": 1e-10})
    assert fit_temperature(logits, labels).value == pytest.approx(1 / oracle.x, rel=1e-4)


def test_fit_is_a_local_minimum() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(4, size=300)
    logits = rng.normal(size=(300, 4)) * 5 + 4 * np.eye(4)[labels]
    best = fit_temperature(logits, labels).value
    assert nll(logits, labels, best) <= min(nll(logits, labels, best * (1 + step)) for step in (-1e-3, 1e-3))


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1.0, 1e6])
def test_fit_scales_with_the_logits(scale: float) -> None:
    rng = np.random.default_rng(5)
    labels = rng.integers(3, size=150)
    logits = rng.normal(size=(150, 3)) + np.eye(3)[labels]
    unscaled = fit_temperature(logits, labels).value
    assert fit_temperature(logits * scale, labels).value == pytest.approx(unscaled * scale, rel=1e-6)


def test_single_precision_logits_are_fitted_in_double_precision() -> None:
    rng = np.random.default_rng(6)
    labels = rng.integers(4, size=400)
    logits = (rng.normal(size=(400, 4)) + np.eye(4)[labels]).astype(np.float32)
    assert fit_temperature(logits, labels) == fit_temperature(logits.astype(np.float64), labels)


def test_fit_without_errors_raises() -> None:
    with pytest.raises(CalibrationError, match="classified correctly"):
        fit_temperature(np.eye(4) * 3, np.arange(4))


@pytest.mark.parametrize("logits", [np.zeros((6, 3)), -np.eye(3)[[0, 1, 2, 0, 1, 2]]])
def test_fit_of_chance_scores_raises(logits: np.ndarray) -> None:
    with pytest.raises(CalibrationError, match=r"classified correctly|than chance"):
        fit_temperature(logits, np.array([0, 1, 2, 0, 1, 2]))


def test_fit_without_scans_raises() -> None:
    with pytest.raises(CalibrationError, match="got none"):
        fit_temperature(np.zeros((0, 3)), np.zeros(0, int))


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0]])
def test_labels_out_of_range_are_refused(labels: list[int]) -> None:
    with pytest.raises(CalibrationError, match="label"):
        fit_temperature(np.array([[0.0, 1.0, 0.5], [1.0, 0.0, 0.5]]), np.array(labels, int))


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
def test_logits_of_a_diverged_network_are_refused(poison: float) -> None:
    with pytest.raises(CalibrationError, match="diverged"):
        fit_temperature(np.array([[poison, 1.0], [0.0, 1.0]]), np.array([0, 1]))


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_temperature_is_a_finite_number_above_zero(value: float) -> None:
    with pytest.raises(CalibrationError, match="above 0"):
        Temperature(value)


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


def test_large_logits_do_not_overflow() -> None:
    logits = np.array([[900.0, -900.0, 0.0, 0.0], [-900.0, -900.0, 900.0, -900.0]])
    losses = marginal_losses(logits, allowed_of(np.array([True, True])), Temperature(0.1))
    assert np.isfinite(losses).all()
    assert losses[0] == pytest.approx(0)


@pytest.mark.parametrize("seed", range(5))
def test_marginal_fit_equals_scipy_optimize(seed: int) -> None:
    logits, tumours = drawn(seed, 300)
    allowed = allowed_of(tumours)

    def loss(logarithm: float) -> float:
        losses = marginal_losses(logits, allowed, Temperature(float(np.exp(logarithm))))
        return float(losses[tumours].mean() + losses[~tumours].mean())

    expected = np.exp(minimize_scalar(loss, bounds=(-2.9, 2.9), method="bounded", options={"xatol": 1e-8}).x)
    assert fit_marginal_temperature(logits, tumours, HEALTHY).value == pytest.approx(expected, rel=1e-3)


def test_marginal_fit_recovers_the_scale_of_logits() -> None:
    logits, tumours = drawn(1)
    once = fit_marginal_temperature(logits, tumours, HEALTHY).value
    assert fit_marginal_temperature(3 * logits, tumours, HEALTHY).value == pytest.approx(3 * once, rel=1e-3)


def test_marginal_fit_of_one_class_raises() -> None:
    logits, tumours = drawn(0, 20)
    with pytest.raises(CalibrationError, match="tumours and healthy scans"):
        fit_marginal_temperature(logits, np.ones_like(tumours), HEALTHY)


def test_marginal_fit_without_errors_raises() -> None:
    logits = np.array([[5.0, 0, 0, 0], [0.0, 0, 5, 0]])
    with pytest.raises(CalibrationError, match="keep the old one"):
        fit_marginal_temperature(logits, np.array([True, False]), HEALTHY)
