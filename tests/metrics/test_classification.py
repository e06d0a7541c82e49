from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
)

from brainslice.errors import UsageError
from brainslice.metrics.classification import (
    accuracy,
    accuracy_of_each,
    balanced_accuracy_of_each,
    confusion,
    macro_f1,
    macro_f1_of_each,
)

CALLS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


def columns(calls: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([true for true, _ in calls]), np.array([called for _, called in calls])


@given(CALLS)
def test_confusion_equals_scikit_learn(calls: list[tuple[int, int]]) -> None:
    labels, predictions = columns(calls)
    assert (confusion(labels, predictions, 4) == confusion_matrix(labels, predictions, labels=range(4))).all()


@given(CALLS)
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.filterwarnings("ignore:A single label was found")
def test_scores_equal_scikit_learn(calls: list[tuple[int, int]]) -> None:
    labels, predictions = columns(calls)
    matrix = confusion(labels, predictions, 4)
    assert accuracy(matrix) == pytest.approx(accuracy_score(labels, predictions))
    assert macro_f1(matrix) == pytest.approx(f1_score(labels, predictions, average="macro", zero_division=0))
    assert balanced_accuracy_of_each(matrix) == pytest.approx(balanced_accuracy_score(labels, predictions))


def test_many_matrices_are_scored_as_one_by_one() -> None:
    matrices = np.random.default_rng(0).integers(0, 9, size=(7, 4, 4)) + np.eye(4, dtype=int)
    for many, one in (
        (accuracy_of_each, accuracy),
        (macro_f1_of_each, macro_f1),
    ):
        assert many(matrices).tolist() == [one(matrix) for matrix in matrices]


@pytest.mark.parametrize(("labels", "predictions"), [([4], [0]), ([0], [4]), ([-1], [0])])
def test_classes_that_do_not_exist_are_refused(labels: list[int], predictions: list[int]) -> None:
    with pytest.raises(UsageError, match="must lie in 0 to 3"):
        confusion(np.array(labels), np.array(predictions), 4)


@pytest.mark.parametrize("score", [accuracy, macro_f1])
def test_empty_confusion_raises(score: object) -> None:
    assert callable(score)
    with pytest.raises(UsageError, match="at least one scan"):
        score(np.zeros((3, 3), int))
