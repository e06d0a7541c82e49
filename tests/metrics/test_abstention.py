from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import binom

from brainslice.decision.uncertainty import for_review
from brainslice.errors import UsageError
from brainslice.labels import LabelSet
from brainslice.metrics.abstention import BUDGETS, AbstentionInputs, Answers, measure_abstention, risk_coverage
from brainslice.metrics.bootstrap import resample

LABELS = LabelSet()


def answers(n: int = 300, seed: int = 0) -> Answers:
    rng = np.random.default_rng(seed)
    labels = rng.integers(4, size=n)
    probabilities = softmax(rng.normal(size=(n, 4)) + 2 * np.eye(4)[labels], axis=1)
    return Answers(labels, np.arange(n) // 3, probabilities, LABELS, 0.5)


def caution(subject: Answers, *, sets: bool = True) -> AbstentionInputs:
    doubtful = 1 - subject.probabilities.max(axis=1)
    reasons = tuple(("undecided",) if doubt > 0.5 else () for doubt in doubtful)
    held = subject.probabilities > 0.1
    return AbstentionInputs(doubtful, reasons, held if sets else None, 0.9 if sets else None)


def test_referrals_are_counted_by_reason() -> None:
    subject = answers()
    cautious = caution(subject)
    found = measure_abstention(subject, cautious, resample(subject.groups, 0, 100))
    referred = cautious.referred
    assert found.referred.value == pytest.approx(referred.mean())
    assert found.reasons == {"undecided": int(referred.sum())}
    tumour = subject.labels != LABELS.healthy_index
    called = subject.probabilities[:, LABELS.healthy_index] <= 0.5
    assert found.verdicts.value == pytest.approx((tumour == called)[~referred].mean())
    assert found.verdicts.n == (~referred).sum()


def test_set_coverage_by_class() -> None:
    subject = answers()
    found = measure_abstention(subject, caution(subject), resample(subject.groups, 0, 100)).sets
    assert found is not None
    held = subject.probabilities > 0.1
    for place, row in enumerate(found.classes):
        own = subject.labels == place
        assert row.name == LABELS.names[place]
        assert row.score.value == pytest.approx(held[own, place].mean())
        assert (row.low, row.high) == pytest.approx(tuple(binom.interval(0.99, own.sum(), 0.9) / own.sum()))
        assert row.within == (row.low <= held[own, place].mean() <= row.high)
    assert found.size.value == pytest.approx(held.sum(axis=1).mean())
    assert found.size.interval is not None
    assert found.size.interval.low < found.size.value < found.size.interval.high
    assert found.singles == pytest.approx((held.sum(axis=1) == 1).mean())


def test_coverage_band() -> None:
    subject = answers(1200)
    rng = np.random.default_rng(1)
    for share, inside in ((0.9, True), (0.75, False)):
        held = rng.random((1200, 4)) < share
        cautious = AbstentionInputs(np.zeros(1200), ((),) * 1200, held, 0.9)
        found = measure_abstention(subject, cautious, resample(subject.groups, 0, 50)).sets
        assert found is not None
        assert all(row.within is inside for row in found.classes)


def test_coverage_without_scans_is_undefined() -> None:
    subject = answers()
    one = Answers(np.full(300, 2), subject.groups, subject.probabilities, LABELS, 0.5)
    found = measure_abstention(one, caution(one), resample(one.groups, 0, 50)).sets
    assert found is not None
    assert [row.score.value is None for row in found.classes] == [True, True, False, True]
    assert not found.classes[0].within


@pytest.mark.parametrize("sets", [False, True])
def test_abstention_to_json_and_summary(*, sets: bool) -> None:
    subject = answers()
    found = measure_abstention(subject, caution(subject, sets=sets), resample(subject.groups, 0, 50))
    told = found.to_json()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert (told["prediction_sets"] is not None) == sets
    assert len(found.summary_lines()) == 2 + sets


def test_all_scans_referred() -> None:
    subject = answers(30)
    cautious = AbstentionInputs(np.ones(30), (("out_of_distribution",),) * 30)
    found = measure_abstention(subject, cautious, resample(subject.groups, 0, 50))
    assert found.verdicts.value is None
    assert found.referred.value == 1


seeds = st.integers(0, 2**16)


def drawn(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    doubtful = rng.random(n)
    return doubtful, rng.random(n) > doubtful / 2, rng.integers(n // 2, size=n)


@given(seeds)
def test_risk_coverage_curve(seed: int) -> None:
    doubtful, right, groups = drawn(seed)
    found = risk_coverage(doubtful, right, groups)
    order = np.argsort(doubtful)
    slow = [float((~right[order[: count + 1]]).mean()) for count in range(len(right))]
    np.testing.assert_allclose(found.risk, slow)
    assert found.area == pytest.approx(np.mean(slow))
    assert found.risk[-1] == pytest.approx(1 - right.mean())


@given(seeds)
def test_perfect_ordering_has_no_excess_area(seed: int) -> None:
    doubtful, right, groups = drawn(seed)
    assert risk_coverage(1.0 * ~right, right, groups).excess == pytest.approx(0, abs=1e-12)
    assert risk_coverage(doubtful, right, groups).excess >= -1e-12
    assert risk_coverage(1.0 * right, right, groups).excess >= risk_coverage(doubtful, right, groups).excess - 1e-12


@given(seeds)
def test_risk_does_not_depend_on_the_order_of_ties(seed: int) -> None:
    doubtful, right, groups = drawn(seed)
    doubtful = doubtful.round(1)
    order = np.random.default_rng(seed).permutation(len(right))
    one, other = risk_coverage(doubtful, right, groups), risk_coverage(doubtful[order], right[order], groups[order])
    assert one.area == pytest.approx(other.area)


def test_uninformative_uncertainty_has_constant_risk() -> None:
    _, right, groups = drawn(0)
    found = risk_coverage(np.zeros(len(right)), right, groups)
    np.testing.assert_allclose(found.risk, 1 - right.mean())


@given(seeds)
def test_accuracy_after_review(seed: int) -> None:
    doubtful, right, groups = drawn(seed, 87)
    found = risk_coverage(doubtful, right, groups)
    for budget in BUDGETS:
        rest = ~for_review(doubtful, budget)
        assert found.reviewed[budget].value == pytest.approx(right[rest].mean())
        assert found.reviewed[budget].n == rest.sum()


@pytest.mark.parametrize("n", [1, 3, 60, 500])
def test_risk_coverage_to_json(n: int) -> None:
    doubtful, right, _ = drawn(1, max(n, 2))
    told = risk_coverage(doubtful[:n], right[:n], np.arange(n)).to_json()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert len(told["curve"]["risk"]) == len(told["curve"]["coverage"]) <= 101
    assert told["curve"]["coverage"][-1] == 1.0


def test_curve_without_scans_raises() -> None:
    with pytest.raises(UsageError, match="at least one scan"):
        risk_coverage(np.zeros(0), np.zeros(0, dtype=bool), np.zeros(0, dtype=np.int64))
