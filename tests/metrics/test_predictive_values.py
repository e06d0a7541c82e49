from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.errors import UsageError
from brainslice.metrics.intervals.asymptotic import Interval
from brainslice.metrics.intervals.exact import clopper_pearson
from brainslice.metrics.predictive_values import predictive_values

SHARES = st.floats(0.01, 0.99)


def counted(successes: int, n: int) -> tuple[float, Interval]:
    return successes / n, clopper_pearson(successes, n, 0.975)


@given(st.integers(1, 99), st.integers(1, 99))
def test_at_the_prevalence_of_the_set_they_are_the_shares_that_are_counted(hits: int, cleared: int) -> None:
    found = predictive_values(counted(hits, 100), counted(cleared, 100), 0.5)
    assert found.positive == pytest.approx(hits / (hits + 100 - cleared))
    assert found.negative == pytest.approx(cleared / (cleared + 100 - hits))


@given(st.integers(60, 100), st.integers(60, 100), st.floats(0.001, 0.5))
def test_a_rarer_tumour_makes_a_positive_answer_worth_less(hits: int, cleared: int, prevalence: float) -> None:
    rare = predictive_values(counted(hits, 100), counted(cleared, 100), prevalence / 2)
    common = predictive_values(counted(hits, 100), counted(cleared, 100), prevalence)
    assert rare.positive is not None
    assert common.positive is not None
    assert rare.positive <= common.positive


def test_both_intervals_hold_the_truth_as_often_as_they_say() -> None:
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


def test_what_nobody_is_told_has_no_value() -> None:
    certain = clopper_pearson(10, 10, 0.975)
    never = clopper_pearson(0, 10, 0.975)
    found = predictive_values((0.0, never), (1.0, certain), 0.1)
    assert found.positive is None
    assert found.to_json()["ppv"] is None
    assert found.negative == pytest.approx(0.9)
    assert "PPV undefined" in found.summary


@pytest.mark.parametrize("prevalence", [0.0, 1.0, -0.1])
def test_a_prevalence_that_leaves_nothing_to_ask_is_refused(prevalence: float) -> None:
    with pytest.raises(UsageError, match="prevalence must be a share"):
        predictive_values(counted(9, 10), counted(9, 10), prevalence)
