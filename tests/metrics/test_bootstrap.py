from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from brainslice.errors import UsageError
from brainslice.metrics.bootstrap import (
    bootstrap_of_draws,
    clustered_bootstrap,
    inverted_bootstrap,
    resample,
)


def mean_of(sums: np.ndarray) -> np.ndarray:
    return np.asarray(sums[:, 0] / sums[:, 1])


def with_ones(values: np.ndarray) -> np.ndarray:
    return np.column_stack([values, np.ones(len(values))])


@given(st.integers(0, 2**16), st.integers(1, 12))
def test_every_draw_holds_as_many_groups_as_there_are(seed: int, groups: int) -> None:
    resampling = resample(np.arange(groups * 3) // 3, seed, draws=20)
    assert resampling.groups == groups
    assert (resampling.multiplicities.sum(axis=1) == groups).all()


def test_draws_depend_on_the_seed() -> None:
    groups = np.arange(30)
    first, again, other = (resample(groups, seed).multiplicities for seed in (1, 1, 2))
    assert (first == again).all()
    assert not (first == other).all()


def test_the_interval_of_a_mean_is_scipys_bca_interval() -> None:
    values = np.random.default_rng(0).exponential(size=120)
    found = clustered_bootstrap(mean_of, with_ones(values), resample(np.arange(120), 3, draws=20_000))
    oracle = bootstrap(
        (values,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(4)
    ).confidence_interval
    assert found is not None
    assert (found.low, found.high) == pytest.approx((oracle.low, oracle.high), abs=0.01)


def test_the_names_of_groups_do_not_matter() -> None:
    values = np.random.default_rng(1).normal(size=60)
    groups = np.arange(60) // 4
    intervals = [
        clustered_bootstrap(mean_of, with_ones(values), resample(names, 0)) for names in (groups, groups * 7 + 1000)
    ]
    assert intervals[0] == intervals[1]


def test_repeating_every_scan_within_its_group_does_not_narrow_the_interval() -> None:
    values = np.random.default_rng(2).normal(size=50)
    once = clustered_bootstrap(mean_of, with_ones(values), resample(np.arange(50), 0))
    often = clustered_bootstrap(mean_of, with_ones(np.repeat(values, 9)), resample(np.repeat(np.arange(50), 9), 0))
    assert once is not None
    assert often is not None
    assert (often.low, often.high) == pytest.approx((once.low, once.high))


def test_both_bootstrap_functions_agree() -> None:
    values = np.random.default_rng(5).normal(size=40)
    resampling = resample(np.arange(40), 1)
    by_draws = bootstrap_of_draws(lambda counts: counts @ values / counts.sum(axis=1), resampling)
    by_sums = clustered_bootstrap(mean_of, with_ones(values), resampling)
    assert by_draws is not None
    assert by_sums is not None
    assert (by_draws.low, by_draws.high) == pytest.approx((by_sums.low, by_sums.high))


def test_draws_without_value_are_left_out() -> None:
    values = np.random.default_rng(6).normal(size=8)
    rare = np.arange(8) < 2

    def mean_of_the_rare(sums: np.ndarray) -> np.ndarray:
        return np.divide(sums[:, 0], sums[:, 1], out=np.full(len(sums), np.nan), where=sums[:, 1] > 0)

    parts = np.column_stack([values * rare, rare])
    found = clustered_bootstrap(mean_of_the_rare, parts, resample(np.arange(8), 0))
    assert found is not None
    assert np.sort(values[:2]) == pytest.approx([found.low, found.high])


@pytest.mark.parametrize("groups", [np.zeros(20, int), np.arange(20)])
def test_constant_values_have_no_interval(groups: np.ndarray) -> None:
    values = np.arange(20.0) if groups.max() == 0 else np.full(20, 0.3)
    resampling = resample(groups, 0)
    assert clustered_bootstrap(mean_of, with_ones(values), resampling) is None
    assert inverted_bootstrap(values[:, None], resampling) is None
    assert bootstrap_of_draws(lambda counts: np.zeros(len(counts)), resampling) is None


def test_inverted_interval_includes_zero_for_noise_only() -> None:
    noise = np.random.default_rng(7).normal(size=(400, 5))
    noise -= noise.mean(axis=0)
    resampling = resample(np.arange(400), 0)
    explained, unexplained = (inverted_bootstrap(noise + shift, resampling) for shift in (0.03, 0.5))
    assert explained is not None
    assert unexplained is not None
    assert explained.low == 0.0
    assert unexplained.low > 2.0


@given(st.integers(0, 2**10), st.floats(0.1, 3.0))
def test_inverted_interval_contains_its_estimate_and_scales(seed: int, scale: float) -> None:
    parts = np.random.default_rng(seed).normal(size=(30, 4))
    resampling = resample(np.arange(30) // 2, 0, draws=100)
    plain, scaled = inverted_bootstrap(parts, resampling), inverted_bootstrap(parts, resampling, scale)
    assert plain is not None
    assert scaled is not None
    assert plain.low <= np.abs(parts.mean(axis=0)).sum() <= plain.high
    assert (scaled.low, scaled.high) == pytest.approx((plain.low * scale, plain.high * scale))


def test_resampling_without_scans_raises() -> None:
    with pytest.raises(UsageError, match="at least one scan"):
        resample(np.zeros(0, int), 0)
    with pytest.raises(UsageError, match="one draw"):
        resample(np.arange(3), 0, draws=0)
