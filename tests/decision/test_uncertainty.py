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

from brainslice.decision.uncertainty import disagreement, mutual_information, predictive_entropy
from brainslice.errors import UsageError

MEMBERS = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=6).filter(lambda shape: shape[2] > 1),
    elements=st.floats(-700, 700),
).map(lambda logits: softmax(logits, axis=-1))


@given(MEMBERS)
def test_information_is_at_most_the_entropy_which_is_at_most_that_of_a_guess(members: np.ndarray) -> None:
    information, entropy = mutual_information(members), predictive_entropy(members.mean(axis=1))
    assert (information >= 0).all()
    assert (information <= entropy + 1e-12).all()
    assert (information <= math.log(members.shape[1]) + 1e-9).all()
    assert (entropy <= math.log(members.shape[2]) + 1e-9).all()


@given(MEMBERS)
def test_entropy_is_scipy_s_in_nats(members: np.ndarray) -> None:
    one = members[:, 0]
    assert predictive_entropy(one) == pytest.approx(scipy_entropy(one, axis=1), abs=1e-12)


@given(MEMBERS, st.integers(1, 5))
def test_members_that_all_say_the_same_tell_nothing_more(members: np.ndarray, copies: int) -> None:
    alike = np.repeat(members[:, :1], copies, axis=1)
    assert mutual_information(alike) == pytest.approx(0.0, abs=1e-12)
    assert (disagreement(alike) == 0).all()


@given(MEMBERS)
def test_the_order_of_the_members_tells_nothing(members: np.ndarray) -> None:
    turned = members[:, ::-1]
    assert mutual_information(turned) == pytest.approx(mutual_information(members), abs=1e-12)
    assert disagreement(turned) == pytest.approx(disagreement(members))


def test_information_is_that_between_the_class_and_the_member() -> None:
    # Three members with probabilities in hundredths: a table of counts of (member, class).
    counts = np.array([[90, 10, 0], [20, 50, 30], [5, 5, 90]])
    members = np.repeat(np.arange(3), counts.sum(axis=1))
    classes = np.concatenate([np.repeat(np.arange(3), row) for row in counts])
    found = mutual_information((counts / 100)[np.newaxis])
    assert found[0] == pytest.approx(mutual_info_score(members, classes))


def test_certain_members_that_contradict_each_other_tell_all_there_is() -> None:
    members = np.eye(4)[np.newaxis]
    assert mutual_information(members)[0] == pytest.approx(math.log(4))
    assert predictive_entropy(members.mean(axis=1))[0] == pytest.approx(math.log(4))
    assert disagreement(members)[0] == 0.75


def test_honest_doubt_is_entropy_without_information() -> None:
    members = np.full((1, 7, 2), 0.5)
    assert predictive_entropy(members[:, 0])[0] == pytest.approx(math.log(2))
    assert mutual_information(members)[0] == 0.0


def test_disagreement_counts_who_leaves_the_majority() -> None:
    votes = np.array([0, 0, 0, 1, 2])
    assert disagreement(np.eye(3)[votes][np.newaxis])[0] == pytest.approx(0.4)


def test_certainty_has_no_entropy_and_no_minus_sign() -> None:
    found = predictive_entropy(np.eye(3))
    assert (found == 0).all()
    assert not np.signbit(found).any()


@pytest.mark.parametrize("rows", [[[0.5, 0.6]], [[1.2, -0.2]], [[math.nan, 1.0]], np.zeros((0, 2))])
def test_what_is_no_distribution_is_refused(rows: object) -> None:
    wrong = np.array(rows, dtype=np.float64)
    with pytest.raises(UsageError, match="sum to 1"):
        predictive_entropy(wrong)
    with pytest.raises(UsageError, match="sum to 1"):
        mutual_information(wrong[:, np.newaxis])
    with pytest.raises(UsageError, match="sum to 1"):
        disagreement(wrong[:, np.newaxis])
