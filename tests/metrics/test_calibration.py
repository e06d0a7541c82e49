from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss

from brainslice.errors import UsageError
from brainslice.labels import LabelSet
from brainslice.metrics.bootstrap import resample
from brainslice.metrics.calibration import (
    Reliability,
    accuracy_in_bins,
    bin_by_confidence,
    classwise_calibration_error,
    confidence_bins,
    confidence_gaps,
    expected_calibration_error,
    maximum_calibration_error,
    maximum_gap,
    negative_log_likelihood,
    reliability_diagram,
    squared_errors,
)
from brainslice.metrics.intervals import clustered_wilson
from brainslice.metrics.scoring import ScoringInputs


def chances(seed: int, n: int = 200, k: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(k, 0.5), size=n), rng.integers(k, size=n)


def plain_gaps(sure: list[float], right: list[bool], bins: int) -> list[tuple[int, float]]:
    """Bin by bin, as the formula is written: the scans in it, and accuracy minus confidence."""
    gaps = []
    for place in range(bins):
        inside = [i for i, c in enumerate(sure) if place <= c * bins < place + 1 or (place == bins - 1 and c >= 1)]
        if inside:
            mean = sum(sure[i] for i in inside) / len(inside)
            gaps.append((len(inside), sum(right[i] for i in inside) / len(inside) - mean))
    return gaps


@given(st.integers(0, 2**16), st.sampled_from([1, 5, 10, 15, 30]))
def test_ece_and_mce_equal_their_formulas(seed: int, bins: int) -> None:
    probabilities, labels = chances(seed)
    right = (probabilities.argmax(axis=1) == labels).tolist()
    gaps = plain_gaps(probabilities.max(axis=1).tolist(), right, bins)
    binned = bin_by_confidence(probabilities, labels, bins)
    expected = sum(count * abs(gap) for count, gap in gaps) / 200
    assert expected_calibration_error(binned) == pytest.approx(expected)
    assert maximum_calibration_error(binned) == pytest.approx(max(abs(gap) for _, gap in gaps))


@given(st.integers(0, 2**16))
def test_classwise_error_equals_its_formula(seed: int) -> None:
    probabilities, labels = chances(seed)
    total = 0.0
    for place in range(4):
        gaps = plain_gaps(probabilities[:, place].tolist(), (labels == place).tolist(), 15)
        total += sum(count * abs(gap) for count, gap in gaps) / 200
    assert classwise_calibration_error(probabilities, labels) == pytest.approx(total / 4)


@given(st.integers(0, 2**16))
def test_the_gaps_of_single_scans_add_up_to_the_error(seed: int) -> None:
    probabilities, labels = chances(seed)
    added = np.abs(confidence_gaps(probabilities, labels).mean(axis=0)).sum()
    assert added == pytest.approx(expected_calibration_error(bin_by_confidence(probabilities, labels)))


@given(st.integers(0, 2**16))
def test_squared_errors_and_likelihood_equal_scikit_learn(seed: int) -> None:
    probabilities, labels = chances(seed)
    oracle = brier_score_loss(labels, probabilities, labels=range(4), scale_by_half=False)
    assert squared_errors(probabilities, labels).mean() == pytest.approx(oracle)
    assert negative_log_likelihood(probabilities, labels) == pytest.approx(
        log_loss(labels, probabilities, labels=range(4))
    )


def test_confidence_is_of_the_predicted_class() -> None:
    binned = bin_by_confidence(np.array([[0.9, 0.1]]), np.array([1]), 10)
    assert binned.counts.tolist() == [0] * 9 + [1]
    assert expected_calibration_error(binned) == pytest.approx(0.9)


def test_bin_edges() -> None:
    assert confidence_bins(np.array([0.0, 0.25, 0.49, 0.5, 0.75, 1.0]), 4).tolist() == [0, 1, 1, 2, 3, 3]


def test_empty_bins_have_no_gap() -> None:
    binned = bin_by_confidence(np.array([[1.0, 0.0]]), np.array([0]))
    assert binned.gaps.tolist() == [0.0] * 15
    assert maximum_calibration_error(binned) == 0.0


def test_likelihood_of_probability_zero_is_finite() -> None:
    assert 700 < negative_log_likelihood(np.array([[1.0, 0.0]]), np.array([1])) < 710


@pytest.mark.parametrize("row", [[0.5, 0.6], [-0.1, 1.1], [np.nan, 1.0], [0.0, 0.0]])
def test_invalid_probability_rows_raise(row: list[float]) -> None:
    for judge in (bin_by_confidence, negative_log_likelihood, classwise_calibration_error):
        with pytest.raises(UsageError, match="sum to 1"):
            judge(np.array([row]), np.array([0]))


def test_no_scans_or_bins_raise() -> None:
    with pytest.raises(UsageError, match="at least one scan"):
        negative_log_likelihood(np.zeros((0, 2)), np.zeros(0, int))
    with pytest.raises(UsageError, match="1 or more"):
        bin_by_confidence(np.array([[0.5, 0.5]]), np.array([0]), 0)


def chances_bins(seed: int, n: int = 150) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(4, 0.4), size=n), rng.integers(4, size=n), rng.integers(40, size=n)


def test_only_bins_that_hold_scans_have_an_interval() -> None:
    probabilities, labels, groups = chances_bins(0)
    filled = bin_by_confidence(probabilities, labels, 10).counts > 0
    bounds = accuracy_in_bins(probabilities, labels, groups, 10)
    assert [interval is not None for interval in bounds] == filled.tolist()
    assert not filled.all()


def test_a_single_bin_is_bounded_like_the_accuracy() -> None:
    probabilities, labels, groups = chances_bins(1)
    right = probabilities.argmax(axis=1) == labels
    assert accuracy_in_bins(probabilities, labels, groups, 1) == (clustered_wilson(right, groups),)


@given(st.integers(0, 2**16), st.sampled_from([1, 7, 15]))
def test_the_largest_gap_lies_in_its_interval(seed: int, bins: int) -> None:
    probabilities, labels, groups = chances_bins(seed)
    largest = maximum_calibration_error(bin_by_confidence(probabilities, labels, bins))
    found = maximum_gap(probabilities, labels, groups, bins)
    assert found.low <= largest + 1e-12
    assert found.high >= largest - 1e-12
    assert found.low >= 0


def test_interval_widens_with_the_level() -> None:
    narrow, wide = (maximum_gap(*chances_bins(2), 5, level) for level in (0.8, 0.99))
    assert wide.low <= narrow.low
    assert wide.high > narrow.high
    assert wide.level == pytest.approx(0.99)


def judged() -> ScoringInputs:
    rng = np.random.default_rng(0)
    groups = np.arange(90) // 3
    return ScoringInputs(
        rng.integers(4, size=90), rng.dirichlet(np.ones(4), size=90), groups, LabelSet(), resample(groups, 0, draws=10)
    )


def diagram(inputs: ScoringInputs, bins: int = 15) -> Reliability:
    return reliability_diagram(inputs.probabilities, inputs.labels, inputs.groups, bins)


def test_each_bin_has_the_interval_of_its_accuracy() -> None:
    subject = judged()
    expected = accuracy_in_bins(subject.probabilities, subject.labels, subject.groups, 8)
    assert diagram(subject, 8).accuracy == expected


def test_bins_without_scans_have_neither_accuracy_nor_confidence() -> None:
    told = diagram(judged()).to_json()
    columns = (told["counts"], told["accuracy"], told["confidence"], told["accuracy_intervals"])
    for count, *means in zip(*columns, strict=True):
        assert all((mean is None) == (count == 0) for mean in means)
    assert sum(told["counts"]) == 90
    assert told["counts"][0] == 0


def test_the_confidence_of_a_bin_lies_within_it() -> None:
    for place, confidence in enumerate(diagram(judged()).to_json()["confidence"]):
        assert confidence is None or place / 15 <= confidence <= (place + 1) / 15
