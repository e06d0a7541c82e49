from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from brainslice.labels import LabelSet
from brainslice.metrics.bootstrap import resample
from brainslice.metrics.calibration import bin_by_confidence, expected_calibration_error
from brainslice.metrics.scoring import (
    TITLES,
    Score,
    ScoringInputs,
    calibration_scores,
    class_rows,
    decision_scores,
    proportion,
    tumour_scores,
)


def judged(labels: np.ndarray | None = None, seed: int = 0) -> ScoringInputs:
    rng = np.random.default_rng(seed)
    labels = rng.integers(4, size=240) if labels is None else labels
    probabilities = rng.dirichlet(np.ones(4), size=len(labels)) * 0.5 + 0.5 * np.eye(4)[labels]
    groups = np.arange(len(labels)) // 4
    return ScoringInputs(labels, probabilities, groups, LabelSet(), resample(groups, 0, draws=300))


def named(scores: tuple[Score, ...]) -> dict[str, Score]:
    return {score.name: score for score in scores}


def every_score(subject: ScoringInputs) -> dict[str, Score]:
    return named((*decision_scores(subject), *tumour_scores(subject, 0.5), *calibration_scores(subject, 15)))


def test_every_score_lies_in_its_interval_and_counts_its_scans_and_groups() -> None:
    scores = every_score(judged(np.random.default_rng(1).permutation(np.arange(240) % 4)))
    assert len(scores) == 11
    for score in scores.values():
        if score.interval is not None:
            assert score.value is not None
            assert score.interval.low <= score.value <= score.interval.high
        assert (score.interval is None) == bool(score.note)
        assert 0 < score.groups <= min(score.n, 60)


def test_interval_of_perfect_accuracy_extends_below_one() -> None:
    labels = np.arange(80) % 4
    groups = np.arange(80) // 4
    subject = ScoringInputs(labels, np.eye(4)[labels], groups, LabelSet(), resample(groups, 0, draws=200))
    scores = every_score(subject)
    assert scores["accuracy"].value == 1.0
    assert scores["accuracy"].interval is not None
    assert scores["accuracy"].interval.low < 0.9
    assert scores["macro_f1"].interval is None
    assert "same value" in scores["macro_f1"].note
    assert "perfect ranking" in scores["tumour_auc"].note


def test_tumour_scores_ignore_the_tumour_class() -> None:
    labels = np.array([0, 1, 3, 2, 2])
    probabilities = np.array(
        [
            [0.1, 0.8, 0.1, 0.0],
            [0.0, 0.0, 0.9, 0.1],
            [0.3, 0.3, 0.0, 0.4],
            [0.0, 0.0, 1.0, 0.0],
            [0.2, 0.2, 0.5, 0.1],
        ]
    )
    groups = np.arange(5)
    subject = ScoringInputs(labels, probabilities, groups, LabelSet(), resample(groups, 0, draws=50))
    scores = named(tumour_scores(subject, 0.5))
    assert scores["sensitivity"].value == pytest.approx(2 / 3)
    assert scores["specificity"].value == pytest.approx(1 / 2)
    assert scores["tumour_auc"].value == pytest.approx(roc_auc_score(labels != 2, 1 - probabilities[:, 2]))
    assert (scores["sensitivity"].n, scores["specificity"].n) == (3, 2)


def test_a_scan_exactly_at_the_threshold_is_called_a_tumour() -> None:
    groups = np.arange(2)
    subject = ScoringInputs(
        np.array([0, 2]), np.array([[0.5, 0, 0.5, 0], [0, 0, 1.0, 0]]), groups, LabelSet(), resample(groups, 0)
    )
    assert named(tumour_scores(subject, 0.5))["sensitivity"].value == 1.0
    assert named(tumour_scores(subject, 0.51))["sensitivity"].value == 0.0


@pytest.mark.parametrize(("only", "missing"), [(2, "sensitivity"), (0, "specificity")])
def test_scores_of_missing_classes_are_undefined(only: int, missing: str) -> None:
    scores = every_score(judged(np.full(40, only)))
    assert scores[missing].value is None
    assert "no scan" in scores[missing].note
    assert scores["tumour_auc"].value is None
    assert "without tumour" in scores["tumour_auc"].note


def test_the_calibration_error_is_that_of_its_bins() -> None:
    subject = judged()
    expected = expected_calibration_error(bin_by_confidence(subject.probabilities, subject.labels, 7))
    assert named(calibration_scores(subject, 7))["ece"].value == expected


def test_score_to_json() -> None:
    told = proportion("recall", np.array([True, False]), np.array([0, 1]), 0.9).to_json()
    assert told["value"] == 0.5
    assert told["interval"]["level"] == 0.9
    assert (told["n"], told["groups"], told["note"]) == (2, 2, "")
    assert proportion("recall", np.zeros(0, bool), np.zeros(0, int), 0.9).to_json()["interval"] is None


def test_score_text() -> None:
    assert proportion("recall", np.array([True] * 9 + [False]), np.arange(10), 0.95).text.startswith("0.900 [0.")
    assert proportion("recall", np.zeros(0, bool), np.zeros(0, int), 0.95).text == "undefined"
    assert Score("macro_f1", 1.0, None, 3, 3, "why").text == "1.000 [no interval]"


def test_every_score_has_a_title() -> None:
    assert every_score(judged()).keys() == TITLES.keys()


def judged_per_class(labels: np.ndarray, predictions: np.ndarray) -> ScoringInputs:
    groups = np.arange(len(labels)) // 2
    return ScoringInputs(labels, np.eye(4)[predictions], groups, LabelSet(), resample(groups, 0, draws=200))


def test_class_rows_equal_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(4, size=200), rng.integers(4, size=200)
    precision, recall, f1, support = precision_recall_fscore_support(labels, predictions)
    for place, row in enumerate(class_rows(judged_per_class(labels, predictions))):
        oracle = (precision[place], recall[place], f1[place])
        for score, value in zip((row.precision, row.recall, row.f1), oracle, strict=True):
            assert score.value == pytest.approx(value)
            assert score.interval is not None
            assert score.interval.low < value < score.interval.high
        assert row.support == support[place]


def test_class_without_scans_and_predictions_is_undefined() -> None:
    row = class_rows(judged_per_class(np.array([0, 1, 0, 1]), np.array([0, 1, 1, 1])))[3]
    assert (row.precision.value, row.recall.value, row.f1.value, row.support) == (None, None, None, 0)
    assert all("undefined" in score.note for score in (row.precision, row.recall, row.f1))


def test_perfect_class_has_no_f1_interval() -> None:
    row = class_rows(judged_per_class(np.arange(8) % 4, np.arange(8) % 4))[0]
    assert row.recall.interval is not None
    assert row.f1.interval is None
    assert row.to_json()["f1"]["note"].startswith("no interval")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
def test_the_scores_of_each_class_are_scikit_learns_where_they_are_defined(calls: list[tuple[int, int]]) -> None:
    labels, predictions = np.array(calls).T
    oracle = precision_recall_fscore_support(labels, predictions, labels=range(4), zero_division=np.nan)
    for place, row in enumerate(class_rows(judged_per_class(labels, predictions))):
        called, true = int((predictions == place).sum()), int((labels == place).sum())
        assert row.support == true
        assert row.precision.value == (pytest.approx(oracle[0][place]) if called else None)
        assert row.recall.value == (pytest.approx(oracle[1][place]) if true else None)
        assert row.f1.value == (pytest.approx(oracle[2][place]) if called + true else None)
