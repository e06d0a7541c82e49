from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from brainslice.labels import LabelSet
from brainslice.metrics.intervals.bootstrap import resample
from brainslice.metrics.per_class import class_rows
from brainslice.metrics.scoring import ScoringInputs


def judged(labels: np.ndarray, predictions: np.ndarray) -> ScoringInputs:
    groups = np.arange(len(labels)) // 2
    return ScoringInputs(labels, np.eye(4)[predictions], groups, LabelSet(), resample(groups, 0, draws=200))


def test_the_rows_are_scikit_learns_with_an_interval_around_each_value() -> None:
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(4, size=200), rng.integers(4, size=200)
    precision, recall, f1, support = precision_recall_fscore_support(labels, predictions)
    for place, row in enumerate(class_rows(judged(labels, predictions))):
        oracle = (precision[place], recall[place], f1[place])
        for score, value in zip((row.precision, row.recall, row.f1), oracle, strict=True):
            assert score.value == pytest.approx(value)
            assert score.interval is not None
            assert score.interval.low < value < score.interval.high
        assert row.support == support[place]


def test_a_class_that_never_occurs_and_is_never_called_is_undefined() -> None:
    row = class_rows(judged(np.array([0, 1, 0, 1]), np.array([0, 1, 1, 1])))[3]
    assert (row.precision.value, row.recall.value, row.f1.value, row.support) == (None, None, None, 0)
    assert all("undefined" in score.note for score in (row.precision, row.recall, row.f1))


def test_a_class_without_fault_has_a_recall_interval_but_no_f1_interval() -> None:
    row = class_rows(judged(np.arange(8) % 4, np.arange(8) % 4))[0]
    assert row.recall.interval is not None
    assert row.f1.interval is None
    assert row.to_json()["f1"]["note"].startswith("no interval")
