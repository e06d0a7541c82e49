from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.errors import UsageError
from brainslice.metrics.curves.decision_curve import decision_curve, net_benefit, predictive_values
from brainslice.metrics.intervals import Interval, clopper_pearson


def scans(seed: int, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.random(n)
    return rng.random(n) < scores, scores


@given(st.integers(0, 2**16))
def test_net_benefit_counts_true_positives_less_false_ones_at_the_odds(seed: int) -> None:
    tumour, scores = scans(seed)
    curve = decision_curve(tumour, scores, np.arange(200), thresholds=(0.1, 0.4, 0.8))
    for chance, found in zip(curve.threshold_probabilities, curve.model, strict=True):
        called = scores >= chance
        hits, alarms = (called & tumour).sum() / 200, (called & ~tumour).sum() / 200
        assert found == pytest.approx(hits - alarms * chance / (1 - chance))


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_treat_all_has_no_benefit_at_the_prevalence(prevalence: float, chance: float) -> None:
    assert net_benefit(1.0, 0.0, prevalence, prevalence) == pytest.approx(0.0, abs=1e-9)
    assert net_benefit(1.0, 1.0, prevalence, chance) == pytest.approx(prevalence)
    assert net_benefit(0.0, 1.0, prevalence, chance) == 0.0


def test_calibrated_model_beats_treat_all_and_treat_none() -> None:
    tumour, scores = scans(0, 20_000)
    curve = decision_curve(tumour, scores, np.arange(20_000), thresholds=(0.2, 0.5, 0.8))
    assert (curve.low > np.maximum(curve.treat_all, 0.0)).all()


@given(st.integers(0, 2**16), st.sampled_from([None, 0.05, 0.5]))
def test_the_interval_holds_the_estimate_and_widens_with_groups(seed: int, prevalence: float | None) -> None:
    tumour, scores = scans(seed)
    alone = decision_curve(tumour, scores, np.arange(200), prevalence)
    grouped = decision_curve(tumour, scores, np.arange(200) // 10, prevalence)
    assert (alone.low <= alone.model).all()
    assert (alone.model <= alone.high).all()
    assert (grouped.high - grouped.low).sum() > (alone.high - alone.low).sum()
    assert grouped.groups == 20


def test_perfect_predictions_have_an_interval() -> None:
    tumour = np.arange(20) % 2 == 0
    curve = decision_curve(tumour, np.where(tumour, 0.9, 0.1), np.arange(20), thresholds=(0.5,))
    assert curve.model[0] == 0.5
    assert curve.low[0] < 0.4


def test_decision_curve_to_json() -> None:
    told = decision_curve(*scans(0), np.arange(200)).to_json()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert len(told["threshold_probability"]) == len(told["net_benefit"]) == len(told["low"]) > 20
    assert sorted(set(told["threshold_probability"])) == told["threshold_probability"]


@pytest.mark.parametrize(("chance", "prevalence"), [(0.0, 0.1), (1.0, 0.1), (0.5, 1.0)])
def test_threshold_probability_of_one_raises(chance: float, prevalence: float) -> None:
    with pytest.raises(UsageError, match="above 0 and below 1"):
        decision_curve(*scans(0), np.arange(200), prevalence, (chance,))


def test_scans_of_one_class_raise() -> None:
    with pytest.raises(UsageError, match="positive and negative"):
        decision_curve(np.ones(3, bool), np.full(3, 0.5), np.arange(3))


SHARES = st.floats(0.01, 0.99)


def counted(successes: int, n: int) -> tuple[float, Interval]:
    return successes / n, clopper_pearson(successes, n, 0.975)


@given(st.integers(1, 99), st.integers(1, 99))
def test_predictive_values_at_the_prevalence_of_the_set(hits: int, cleared: int) -> None:
    found = predictive_values(counted(hits, 100), counted(cleared, 100), 0.5)
    assert found.positive == pytest.approx(hits / (hits + 100 - cleared))
    assert found.negative == pytest.approx(cleared / (cleared + 100 - hits))


@given(st.integers(60, 100), st.integers(60, 100), st.floats(0.001, 0.5))
def test_ppv_decreases_with_prevalence(hits: int, cleared: int, prevalence: float) -> None:
    rare = predictive_values(counted(hits, 100), counted(cleared, 100), prevalence / 2)
    common = predictive_values(counted(hits, 100), counted(cleared, 100), prevalence)
    assert rare.positive is not None
    assert common.positive is not None
    assert rare.positive <= common.positive


def test_predictive_value_intervals_cover() -> None:
    rng = np.random.default_rng(0)
    sensitivity, specificity, prevalence = 0.9, 0.8, 0.03
    hits = prevalence * sensitivity
    truth = hits / (hits + (1 - prevalence) * (1 - specificity))
    held = 0
    for _ in range(200):
        found = predictive_values(
            counted(int(rng.binomial(60, sensitivity)), 60), counted(int(rng.binomial(80, specificity)), 80), prevalence
        )
        assert found.positive_interval is not None
        assert found.positive_interval.level == pytest.approx(0.95)
        held += found.positive_interval.low <= truth <= found.positive_interval.high
    assert held >= 190


def test_undefined_predictive_values() -> None:
    certain = clopper_pearson(10, 10, 0.975)
    never = clopper_pearson(0, 10, 0.975)
    found = predictive_values((0.0, never), (1.0, certain), 0.1)
    assert found.positive is None
    assert found.to_json()["ppv"] is None
    assert found.negative == pytest.approx(0.9)
    assert "PPV undefined" in found.summary


@pytest.mark.parametrize("prevalence", [0.0, 1.0, -0.1])
def test_invalid_prevalence_raises(prevalence: float) -> None:
    with pytest.raises(UsageError, match="prevalence must be a share"):
        predictive_values(counted(9, 10), counted(9, 10), prevalence)
