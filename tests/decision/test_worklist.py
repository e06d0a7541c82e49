from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.decision.worklist import doubt_scores, for_review, most_doubtful_first
from brainslice.errors import UsageError


def drawn(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(4), size=n)


@given(st.integers(0, 2**16))
def test_without_a_gate_doubt_is_how_near_the_second_class_comes(seed: int) -> None:
    probabilities = drawn(seed, 20)
    ordered = np.sort(probabilities, axis=1)
    np.testing.assert_allclose(doubt_scores(probabilities), 1 - ordered[:, 3] + ordered[:, 2])


@given(st.integers(0, 2**16))
def test_a_scan_beyond_the_limit_is_more_doubtful_than_any_within(seed: int) -> None:
    strangeness = np.random.default_rng(seed).uniform(0, 2, size=40)
    found = doubt_scores(drawn(seed, 40), strangeness)
    strange = strangeness > 1
    assert found[~strange].max(initial=0) <= 1 < found[strange].min(initial=2)


def test_of_scans_as_undecided_the_stranger_one_is_more_doubtful() -> None:
    probabilities = np.array([[0.6, 0.3, 0.1]] * 3)
    assert most_doubtful_first(doubt_scores(probabilities, np.array([0.3, 0.9, 0.5]))).tolist() == [1, 2, 0]


@given(st.integers(0, 60), st.floats(0, 1), st.integers(0, 2**16))
def test_as_many_as_the_budget_holds_are_marked_and_none_is_less_doubtful_than_one_left_out(
    n: int, budget: float, seed: int
) -> None:
    doubtful = np.random.default_rng(seed).random(n)
    marked = for_review(doubtful, budget)
    assert marked.sum() == math.ceil(budget * n - 1e-9)
    assert doubtful[marked].min(initial=1) >= doubtful[~marked].max(initial=0)


def test_a_tenth_of_thirty_is_three() -> None:
    assert for_review(np.arange(30) / 30, 0.1).sum() == 3


def test_equal_doubts_keep_their_order() -> None:
    assert most_doubtful_first(np.array([0.2, 0.5, 0.2, 0.5])).tolist() == [1, 3, 0, 2]


@pytest.mark.parametrize("budget", [-0.01, 1.01, math.nan])
def test_a_budget_that_is_no_share_is_refused(budget: float) -> None:
    with pytest.raises(UsageError, match="review budget must be a share from 0 to 1"):
        for_review(np.zeros(3), budget)
