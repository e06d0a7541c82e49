from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import softmax
from scipy.stats import entropy as scipy_entropy
from sklearn.metrics import mutual_info_score

from brainslice.decision.uncertainty import (
    for_review,
    most_uncertain_first,
    mutual_information,
    predictive_entropy,
    uncertainty_scores,
)
from brainslice.errors import UsageError

MEMBERS = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=6).filter(lambda shape: shape[2] > 1),
    elements=st.floats(-700, 700),
).map(lambda logits: softmax(logits, axis=-1))


@given(MEMBERS)
def test_mutual_information_is_at_most_the_entropy(members: np.ndarray) -> None:
    information, entropy = mutual_information(members), predictive_entropy(members.mean(axis=1))
    assert (information >= 0).all()
    assert (information <= entropy + 1e-12).all()
    assert (information <= math.log(members.shape[1]) + 1e-9).all()
    assert (entropy <= math.log(members.shape[2]) + 1e-9).all()


@given(MEMBERS)
def test_entropy_equals_scipy(members: np.ndarray) -> None:
    one = members[:, 0]
    assert predictive_entropy(one) == pytest.approx(scipy_entropy(one, axis=1), abs=1e-12)


@given(MEMBERS, st.integers(1, 5))
def test_equal_members_have_no_mutual_information(members: np.ndarray, copies: int) -> None:
    alike = np.repeat(members[:, :1], copies, axis=1)
    assert mutual_information(alike) == pytest.approx(0.0, abs=1e-12)


@given(MEMBERS)
def test_order_of_members_does_not_matter(members: np.ndarray) -> None:
    turned = members[:, ::-1]
    assert mutual_information(turned) == pytest.approx(mutual_information(members), abs=1e-12)


def test_mutual_information_of_class_and_member() -> None:
    # Three members with probabilities in hundredths: a table of counts of (member, class).
    counts = np.array([[90, 10, 0], [20, 50, 30], [5, 5, 90]])
    members = np.repeat(np.arange(3), counts.sum(axis=1))
    classes = np.concatenate([np.repeat(np.arange(3), row) for row in counts])
    found = mutual_information((counts / 100)[np.newaxis])
    assert found[0] == pytest.approx(mutual_info_score(members, classes))


def test_contradicting_certain_members_have_maximum_information() -> None:
    members = np.eye(4)[np.newaxis]
    assert mutual_information(members)[0] == pytest.approx(math.log(4))
    assert predictive_entropy(members.mean(axis=1))[0] == pytest.approx(math.log(4))


def test_equal_uncertain_members_have_entropy_only() -> None:
    members = np.full((1, 7, 2), 0.5)
    assert predictive_entropy(members[:, 0])[0] == pytest.approx(math.log(2))
    assert mutual_information(members)[0] == 0.0


def test_entropy_of_certainty_is_positive_zero() -> None:
    found = predictive_entropy(np.eye(3))
    assert (found == 0).all()
    assert not np.signbit(found).any()


@pytest.mark.parametrize("rows", [[[0.5, 0.6]], [[1.2, -0.2]], [[math.nan, 1.0]], np.zeros((0, 2))])
def test_invalid_distributions_raise(rows: object) -> None:
    wrong = np.array(rows, dtype=np.float64)
    with pytest.raises(UsageError, match="sum to 1"):
        predictive_entropy(wrong)
    with pytest.raises(UsageError, match="sum to 1"):
        mutual_information(wrong[:, np.newaxis])


def drawn(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(4), size=n)


@given(st.integers(0, 2**16))
def test_uncertainty_without_detector_is_the_margin(seed: int) -> None:
    probabilities = drawn(seed, 20)
    ordered = np.sort(probabilities, axis=1)
    np.testing.assert_allclose(uncertainty_scores(probabilities), 1 - ordered[:, 3] + ordered[:, 2])


@given(st.integers(0, 2**16))
def test_out_of_distribution_scans_have_highest_uncertainty(seed: int) -> None:
    strangeness = np.random.default_rng(seed).uniform(0, 2, size=40)
    found = uncertainty_scores(drawn(seed, 40), strangeness)
    strange = strangeness > 1
    assert found[~strange].max(initial=0) <= 1 < found[strange].min(initial=2)


def test_uncertainty_increases_with_the_ood_score() -> None:
    probabilities = np.array([[0.6, 0.3, 0.1]] * 3)
    assert most_uncertain_first(uncertainty_scores(probabilities, np.array([0.3, 0.9, 0.5]))).tolist() == [1, 2, 0]


@given(st.integers(0, 60), st.floats(0, 1), st.integers(0, 2**16))
def test_review_marks_the_budget_of_highest_uncertainty(n: int, budget: float, seed: int) -> None:
    doubtful = np.random.default_rng(seed).random(n)
    marked = for_review(doubtful, budget)
    assert marked.sum() == math.ceil(budget * n - 1e-9)
    assert doubtful[marked].min(initial=1) >= doubtful[~marked].max(initial=0)


def test_a_tenth_of_thirty_is_three() -> None:
    assert for_review(np.arange(30) / 30, 0.1).sum() == 3


def test_ties_keep_their_order() -> None:
    assert most_uncertain_first(np.array([0.2, 0.5, 0.2, 0.5])).tolist() == [1, 3, 0, 2]


@pytest.mark.parametrize("budget", [-0.01, 1.01, math.nan])
def test_invalid_budget_raises(budget: float) -> None:
    with pytest.raises(UsageError, match="review budget must be a share from 0 to 1"):
        for_review(np.zeros(3), budget)
