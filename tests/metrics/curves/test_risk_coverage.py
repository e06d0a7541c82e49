from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.decision.worklist import for_review
from brainslice.errors import UsageError
from brainslice.metrics.curves.risk_coverage import BUDGETS, risk_coverage

seeds = st.integers(0, 2**16)


def drawn(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    doubtful = rng.random(n)
    return doubtful, rng.random(n) > doubtful / 2, rng.integers(n // 2, size=n)


@given(seeds)
def test_the_curve_is_the_share_of_errors_among_the_surest_scans(seed: int) -> None:
    doubtful, right, groups = drawn(seed)
    found = risk_coverage(doubtful, right, groups)
    order = np.argsort(doubtful)
    slow = [float((~right[order[: count + 1]]).mean()) for count in range(len(right))]
    np.testing.assert_allclose(found.risk, slow)
    assert found.area == pytest.approx(np.mean(slow))
    assert found.risk[-1] == pytest.approx(1 - right.mean())


@given(seeds)
def test_a_perfect_order_has_no_excess_and_no_order_has_less(seed: int) -> None:
    doubtful, right, groups = drawn(seed)
    assert risk_coverage(1.0 * ~right, right, groups).excess == pytest.approx(0, abs=1e-12)
    assert risk_coverage(doubtful, right, groups).excess >= -1e-12
    assert risk_coverage(1.0 * right, right, groups).excess >= risk_coverage(doubtful, right, groups).excess - 1e-12


@given(seeds)
def test_scans_of_equal_doubt_may_come_in_any_order(seed: int) -> None:
    doubtful, right, groups = drawn(seed)
    doubtful = doubtful.round(1)
    order = np.random.default_rng(seed).permutation(len(right))
    one, other = risk_coverage(doubtful, right, groups), risk_coverage(doubtful[order], right[order], groups[order])
    assert one.area == pytest.approx(other.area)


def test_where_doubt_says_nothing_the_risk_is_the_same_everywhere() -> None:
    _, right, groups = drawn(0)
    found = risk_coverage(np.zeros(len(right)), right, groups)
    np.testing.assert_allclose(found.risk, 1 - right.mean())


@given(seeds)
def test_the_accuracy_after_review_is_that_of_the_scans_a_worklist_leaves(seed: int) -> None:
    doubtful, right, groups = drawn(seed, 87)
    found = risk_coverage(doubtful, right, groups)
    for budget in BUDGETS:
        rest = ~for_review(doubtful, budget)
        assert found.reviewed[budget].value == pytest.approx(right[rest].mean())
        assert found.reviewed[budget].n == rest.sum()


@pytest.mark.parametrize("n", [1, 3, 60, 500])
def test_what_is_told_is_plain_json_and_short(n: int) -> None:
    doubtful, right, _ = drawn(1, max(n, 2))
    told = risk_coverage(doubtful[:n], right[:n], np.arange(n)).to_json()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert len(told["curve"]["risk"]) == len(told["curve"]["coverage"]) <= 101
    assert told["curve"]["coverage"][-1] == 1.0


def test_no_scan_is_no_curve() -> None:
    with pytest.raises(UsageError, match="at least one scan"):
        risk_coverage(np.zeros(0), np.zeros(0, dtype=bool), np.zeros(0, dtype=np.int64))
