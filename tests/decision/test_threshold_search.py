from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.metrics import roc_curve

from brainslice.decision.operating_point import Criterion, Target, Unit
from brainslice.decision.threshold_search import (
    Assurance,
    TumourScores,
    guaranteed_rank,
    guaranteed_threshold,
    min_units,
    search_threshold,
)
from brainslice.errors import CalibrationError

# With one digit there are many ties.
DIGITS = st.sampled_from([1, 15])
TARGETS = st.sampled_from([0.5, 0.8, 0.9, 0.95])


def scans(seed: int, n: int = 80, digits: int = 15) -> TumourScores:
    rng = np.random.default_rng(seed)
    tumour = np.arange(n) % 3 > 0
    scores = 1 / (1 + np.exp(-rng.normal(2.0 * tumour - 1.0, 1.5)))
    return TumourScores(np.round(scores, digits), tumour, np.arange(n) // 2)


def rates(tuning: TumourScores, threshold: float) -> tuple[float, float]:
    called = tuning.scores >= threshold
    return float(called[tuning.tumour].mean()), float((~called)[~tuning.tumour].mean())


@given(st.integers(0, 2**16), TARGETS, DIGITS)
def test_a_target_sensitivity_is_reached_by_the_highest_threshold_that_can(
    seed: int, target: float, digits: int
) -> None:
    tuning = scans(seed, digits=digits)
    threshold = search_threshold(Target(Criterion.SENSITIVITY, target), tuning).threshold
    higher = tuning.scores[tuning.scores >= threshold].min() + 1e-9
    assert rates(tuning, threshold)[0] >= target > rates(tuning, higher)[0]


@given(st.integers(0, 2**16), TARGETS)
def test_a_target_specificity_is_reached_by_the_lowest_threshold_that_can(seed: int, target: float) -> None:
    tuning = scans(seed)
    threshold = search_threshold(Target(Criterion.SPECIFICITY, target), tuning).threshold
    lower = tuning.scores[tuning.scores < threshold].max()
    assert rates(tuning, threshold)[1] >= target > rates(tuning, lower)[1]


@given(st.integers(0, 2**16), DIGITS)
def test_youden_agrees_with_the_roc_curve(seed: int, digits: int) -> None:
    tuning = scans(seed, digits=digits)
    false, true, _ = roc_curve(tuning.tumour, tuning.scores)
    found = rates(tuning, search_threshold(Target(Criterion.YOUDEN), tuning).threshold)
    assert sum(found) - 1 == pytest.approx((true - false).max())


@given(st.integers(0, 2**16), st.sampled_from([0.2, 1.0, 10.0]), st.sampled_from([None, 0.02, 0.6]))
def test_cost_threshold_is_optimal(seed: int, ratio: float, prevalence: float | None) -> None:
    tuning = scans(seed, digits=1)
    share = prevalence or tuning.prevalence

    def cost(threshold: float) -> float:
        sensitivity, specificity = rates(tuning, threshold)
        return ratio * share * (1 - sensitivity) + (1 - share) * (1 - specificity)

    found = cost(search_threshold(Target(Criterion.COST, ratio), tuning, prevalence).threshold)
    assert found <= min(cost(threshold) for threshold in np.linspace(0, 1, 1001)) + 1e-9


@given(st.integers(0, 2**16), st.sampled_from([0.05, 0.3, 0.7]))
def test_net_benefit_equals_the_cost_ratio_of_the_odds(seed: int, chance: float) -> None:
    tuning = scans(seed)
    by_benefit = search_threshold(Target(Criterion.NET_BENEFIT, chance), tuning)
    by_cost = search_threshold(Target(Criterion.COST, (1 - chance) / chance), tuning)
    assert by_benefit == by_cost


def test_calibrated_probabilities_have_the_theoretical_threshold() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(40_000)
    tuning = TumourScores(scores, rng.random(40_000) < scores, np.arange(40_000))
    assert search_threshold(Target(Criterion.COST, 4.0), tuning).threshold == pytest.approx(1 / 5, abs=0.03)
    assert search_threshold(Target(Criterion.NET_BENEFIT, 0.35), tuning).threshold == pytest.approx(0.35, abs=0.03)


def test_thresholds_are_half_way_between_scores() -> None:
    tuning = TumourScores(np.array([0.2, 0.6, 0.8]), np.array([False, True, True]), np.arange(3))
    assert search_threshold(Target(Criterion.SENSITIVITY, 0.9), tuning).threshold == pytest.approx(0.4)
    assert search_threshold(Target(Criterion.SPECIFICITY, 0.9), tuning).threshold == pytest.approx(0.4)


@given(st.integers(1, 400), TARGETS, st.sampled_from([0.8, 0.9, 0.99]))
def test_guaranteed_rank_equals_the_binomial_quantile(units: int, target: float, confidence: float) -> None:
    rank = guaranteed_rank(units, target, confidence)
    if rank:
        assert binom.sf(rank - 1, units, 1 - target) >= confidence - 1e-9
    assert binom.sf(rank, units, 1 - target) < confidence + 1e-9
    assert (rank > 0) == (units >= min_units(target, confidence))


@given(st.integers(0, 2**16), st.sampled_from([Criterion.SENSITIVITY, Criterion.SPECIFICITY]), st.sampled_from(Unit))
def test_guaranteed_threshold_is_at_its_rank(seed: int, criterion: Criterion, unit: Unit) -> None:
    tuning = scans(seed, n=240)
    cut = guaranteed_threshold(Target(criterion, 0.9), tuning, Assurance(unit=unit))
    assert cut.guarantee is not None
    of_kind = tuning.tumour == (criterion is Criterion.SENSITIVITY)
    wrong = (tuning.scores >= cut.threshold) != tuning.tumour
    groups = len(np.unique(tuning.groups[of_kind]))
    assert cut.guarantee.units == groups
    if unit is Unit.GROUP:
        assert len(np.unique(tuning.groups[of_kind & wrong])) == cut.guarantee.rank - 1
    else:
        assert len(np.unique(tuning.groups[of_kind & wrong])) >= cut.guarantee.rank - 1


def test_group_guarantee_is_more_conservative() -> None:
    tuning = scans(0, n=300)
    goal = Target(Criterion.SENSITIVITY, 0.9)
    by_group, by_scan = (
        guaranteed_threshold(goal, tuning, Assurance(unit=unit)).threshold for unit in (Unit.GROUP, Unit.SCAN)
    )
    assert by_group < by_scan < search_threshold(goal, tuning).threshold


def test_too_few_groups_raise_with_the_number_needed() -> None:
    tuning = scans(0, n=120)
    with pytest.raises(CalibrationError, match=r"at least 45 groups of tumour scans, got \d\d; add scans"):
        guaranteed_threshold(Target(Criterion.SENSITIVITY, 0.95), tuning.part(tuning.groups < 40), Assurance())


def test_only_a_target_can_be_guaranteed() -> None:
    with pytest.raises(CalibrationError, match="can be guaranteed, got youden"):
        guaranteed_threshold(Target(Criterion.YOUDEN), scans(0), Assurance())


def test_unreachable_specificity_raises() -> None:
    tuning = TumourScores(np.array([1.0, 1.0, 0.3]), np.array([False, True, True]), np.arange(3))
    with pytest.raises(CalibrationError, match=r"P\(tumour\) = 1"):
        search_threshold(Target(Criterion.SPECIFICITY, 0.9), tuning)
    assert search_threshold(Target(Criterion.SENSITIVITY, 0.9), tuning).threshold == pytest.approx(0.15)


@pytest.mark.parametrize("tumours", [0, 2])
def test_scans_of_one_class_are_refused(tumours: int) -> None:
    with pytest.raises(CalibrationError, match="with and without tumours"):
        TumourScores(np.array([0.2, 0.4]), np.arange(2) < tumours, np.arange(2))


@pytest.mark.parametrize("confidence", [0.0, 1.0])
def test_confidence_of_one_raises(confidence: float) -> None:
    with pytest.raises(CalibrationError, match="confidence of a guarantee"):
        Assurance(confidence=confidence)
