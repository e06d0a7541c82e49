"""Confusion matrix, accuracy, macro F1 score and balanced accuracy."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from brainslice.array_types import Float, Int, Real
from brainslice.arrays import Labels
from brainslice.errors import UsageError

Confusion: TypeAlias = Int[np.ndarray, "k k"]
"""The number of scans by true class (row) and predicted class (column)."""

Confusions: TypeAlias = Real[np.ndarray, "*draws k k"]
"""One or many confusion matrices; weighted counts may be fractions."""

Values: TypeAlias = Float[np.ndarray, "*draws"]
"""A number for each confusion matrix."""


def confusion(labels: Labels, predictions: Labels, classes: int) -> Confusion:
    """Count scans ``(k, k)`` by true class (row) and predicted class (column).

    Raises:
        UsageError: A class lies outside ``[0, classes)``.
    """
    for name, values in (("labels", labels), ("predictions", predictions)):
        if len(values) and not 0 <= values.min() <= values.max() < classes:
            msg = f"{name} must lie in 0 to {classes - 1}, got {values.min()} to {values.max()}"
            raise UsageError(msg)
    cells = labels.astype(np.int64) * classes + predictions
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def accuracy(matrix: Confusion) -> float:
    """Compute the share of correct predictions."""
    return float(accuracy_of_each(_checked(matrix)))


def macro_f1(matrix: Confusion) -> float:
    """Average the F1 score over the classes that occur or are predicted."""
    return float(macro_f1_of_each(_checked(matrix)))


def accuracy_of_each(matrices: Confusions) -> Values:
    """Compute the accuracy of each matrix; none may be empty."""
    return np.asarray(_diagonals(matrices).sum(axis=-1) / matrices.sum(axis=(-2, -1)))


def macro_f1_of_each(matrices: Confusions) -> Values:
    """Compute the macro F1 score of each matrix; none may be empty."""
    predicted_and_true = matrices.sum(axis=-1) + matrices.sum(axis=-2)
    return _mean_where_defined(2 * _diagonals(matrices), predicted_and_true)


def balanced_accuracy_of_each(matrices: Confusions) -> Values:
    """Compute the balanced accuracy of each matrix; none may be empty."""
    return _mean_where_defined(_diagonals(matrices), matrices.sum(axis=-1))


def _diagonals(matrices: Confusions) -> Real[np.ndarray, "*draws k"]:
    return np.diagonal(matrices, axis1=-2, axis2=-1)


def _mean_where_defined(above: Real[np.ndarray, "*draws k"], below: Real[np.ndarray, "*draws k"]) -> Values:
    """Average ratios over the classes with a denominator above zero."""
    defined = below > 0
    quotients = np.divide(above, below, out=np.zeros(above.shape), where=defined)
    return np.asarray(quotients.sum(axis=-1) / defined.sum(axis=-1))


def _checked(matrix: Confusion) -> Confusion:
    if matrix.sum() == 0:
        msg = "a confusion matrix must count at least one scan, got none"
        raise UsageError(msg)
    return matrix
