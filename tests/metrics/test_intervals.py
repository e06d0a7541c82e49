from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from brainslice.errors import UsageError
from brainslice.metrics.curves.ranking import delong
from brainslice.metrics.intervals import (
    Interval,
    clopper_pearson,
    clustered_wilson,
    effective_number,
    exact_by_group,
)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=80))
def test_a_clustered_interval_holds_the_share_and_stays_within_zero_to_one(rows: list[tuple[bool, int]]) -> None:
    successes, groups = np.array([yes for yes, _ in rows]), np.array([group for _, group in rows])
    found = clustered_wilson(successes, groups)
    assert 0 <= found.low <= successes.mean() <= found.high <= 1


def test_groups_of_one_are_nearly_independent_scans() -> None:
    successes = np.arange(2000) % 10 > 0
    alone = binomtest(1800, 2000).proportion_ci(method="wilson")
    grouped = clustered_wilson(successes, np.arange(2000))
    assert (grouped.low, grouped.high) == pytest.approx((alone.low, alone.high), abs=1e-4)


def test_correlated_groups_count_once() -> None:
    groups = np.repeat(np.arange(100), 10)
    successes = groups % 5 > 0
    assert effective_number(successes, groups) == pytest.approx(100, rel=0.05)


def test_effective_number_without_failures_is_that_of_groups() -> None:
    groups = np.repeat(np.arange(20), 10)
    assert effective_number(np.ones(200, bool), groups) == pytest.approx(20)
    assert clustered_wilson(np.ones(200, bool), groups).low < binomtest(200, 200).proportion_ci(method="wilson").low


def test_one_group_counts_as_one_scan() -> None:
    successes = np.array([True, False, True, True])
    assert effective_number(successes, np.zeros(4, int)) == 1.0


@pytest.mark.parametrize(("successes", "n"), [(-1, 3), (4, 3), (0, 0)])
def test_invalid_counts_raise(successes: int, n: int) -> None:
    with pytest.raises(UsageError, match="proportion"):
        clopper_pearson(successes, n)


def test_no_scan_has_no_proportion() -> None:
    with pytest.raises(UsageError, match="proportion"):
        clustered_wilson(np.zeros(0, bool), np.zeros(0, int))


@pytest.mark.parametrize("ends", [(0.6, 0.4), (math.nan, 1.0), (0.0, math.inf)])
def test_an_interval_has_two_finite_ends_in_order(ends: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="two finite ends"):
        Interval(*ends, 0.95, "guessed")


def test_a_level_lies_between_zero_and_one() -> None:
    with pytest.raises(UsageError, match="level"):
        Interval(0.0, 1.0, 1.0, "guessed")


@given(st.integers(0, 2**16))
def test_groups_of_one_change_nothing_about_delongs_interval(seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive, scores = rng.random(40) < 0.4, rng.normal(size=40)
    assume(2 <= positive.sum() <= 38)
    plain, grouped = delong(positive, scores), delong(positive, scores, np.arange(40))
    assert plain[0] == grouped[0]
    assert plain[1] is None or grouped[1] is None or plain[1].low == pytest.approx(grouped[1].low)


def test_repeating_every_scan_within_its_group_does_not_narrow_the_interval() -> None:
    rng = np.random.default_rng(4)
    positive = np.arange(60) % 2 == 0
    scores = rng.normal(size=60) + positive
    once = delong(positive, scores)[1]
    repeated = delong(np.repeat(positive, 5), np.repeat(scores, 5), np.repeat(np.arange(60), 5))[1]
    assert once is not None
    assert repeated is not None
    assert (repeated.low, repeated.high) == pytest.approx((once.low, once.high), abs=1e-3)


@pytest.mark.parametrize("scores", [[0.1, 0.2, 0.8, 0.9], [0.9, 0.8, 0.2, 0.1]])
def test_perfect_scores_have_no_auc_interval(scores: list[float]) -> None:
    area, interval = delong(np.array([False, False, True, True]), np.array(scores))
    assert area in {0.0, 1.0}
    assert interval is None


def test_one_group_of_a_class_has_no_auc_interval() -> None:
    positive = np.array([True, True, False, False])
    assert delong(positive, np.array([0.3, 0.9, 0.5, 0.1]), np.array([0, 0, 1, 2]))[1] is None


def test_interval_to_json() -> None:
    assert clopper_pearson(1, 2).to_json() == {
        "low": pytest.approx(0.0126, abs=1e-4),
        "high": pytest.approx(0.9874, abs=1e-4),
        "level": 0.95,
        "method": "Clopper-Pearson, scans taken as independent",
    }


@given(st.integers(1, 300), st.data())
def test_clopper_pearson_equals_scipy(n: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, n))
    oracle = binomtest(successes, n).proportion_ci(0.9, method="exact")
    found = clopper_pearson(successes, n, 0.9)
    assert (found.low, found.high) == (pytest.approx(oracle.low, abs=1e-9), pytest.approx(oracle.high, abs=1e-9))


@pytest.mark.parametrize("n", [7, 40])
@pytest.mark.parametrize("truth", [0.03, 0.5, 0.95])
def test_clopper_pearson_coverage_is_at_least_nominal(n: int, truth: float) -> None:
    found = [clopper_pearson(successes, n) for successes in range(n + 1)]
    chances = binom.pmf(np.arange(n + 1), n, truth)
    assert sum(chance for chance, each in zip(chances, found, strict=True) if each.low <= truth <= each.high) >= 0.95


@given(st.integers(0, 2**16))
def test_scans_that_share_no_group_need_no_correction(seed: int) -> None:
    right = np.random.default_rng(seed).random(30) < 0.8
    assert exact_by_group(right, np.arange(30)) == clopper_pearson(int(right.sum()), 30)


@given(st.integers(0, 2**16), st.sampled_from([0.0, 0.7, 1.0]))
def test_grouped_scans_have_wider_intervals(seed: int, share: float) -> None:
    right = np.repeat(np.random.default_rng(seed).random(20) < share, 5)
    grouped, alone = exact_by_group(right, np.arange(100) // 5), clopper_pearson(int(right.sum()), 100)
    assert grouped.low <= right.mean() <= grouped.high
    assert grouped.high - grouped.low > alone.high - alone.low
    assert "20 groups" in grouped.method


@pytest.mark.parametrize(("successes", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_invalid_proportions_raise(successes: int, n: int) -> None:
    with pytest.raises(UsageError, match="between 0 and n"):
        clopper_pearson(successes, n)
