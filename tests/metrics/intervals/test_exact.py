from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from brainslice.errors import UsageError
from brainslice.metrics.intervals.exact import clopper_pearson, exact_by_group


@given(st.integers(1, 300), st.data())
def test_is_the_exact_interval_of_scipy(n: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, n))
    oracle = binomtest(successes, n).proportion_ci(0.9, method="exact")
    found = clopper_pearson(successes, n, 0.9)
    assert (found.low, found.high) == (pytest.approx(oracle.low, abs=1e-9), pytest.approx(oracle.high, abs=1e-9))


@pytest.mark.parametrize("n", [7, 40])
@pytest.mark.parametrize("truth", [0.03, 0.5, 0.95])
def test_covers_every_truth_at_least_as_often_as_it_says(n: int, truth: float) -> None:
    found = [clopper_pearson(successes, n) for successes in range(n + 1)]
    chances = binom.pmf(np.arange(n + 1), n, truth)
    assert sum(chance for chance, each in zip(chances, found, strict=True) if each.low <= truth <= each.high) >= 0.95


@given(st.integers(0, 2**16))
def test_scans_that_share_no_group_need_no_correction(seed: int) -> None:
    right = np.random.default_rng(seed).random(30) < 0.8
    assert exact_by_group(right, np.arange(30)) == clopper_pearson(int(right.sum()), 30)


@given(st.integers(0, 2**16), st.sampled_from([0.0, 0.7, 1.0]))
def test_scans_in_groups_tell_less_than_as_many_by_themselves(seed: int, share: float) -> None:
    right = np.repeat(np.random.default_rng(seed).random(20) < share, 5)
    grouped, alone = exact_by_group(right, np.arange(100) // 5), clopper_pearson(int(right.sum()), 100)
    assert grouped.low <= right.mean() <= grouped.high
    assert grouped.high - grouped.low > alone.high - alone.low
    assert "20 groups" in grouped.method


@pytest.mark.parametrize(("successes", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_what_is_no_proportion_is_refused(successes: int, n: int) -> None:
    with pytest.raises(UsageError, match="between 0 and n"):
        clopper_pearson(successes, n)
