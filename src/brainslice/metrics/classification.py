"""What a confusion matrix says: accuracy, F1 and recall, over all classes and for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int, Real

from brainslice.arrays import Labels
from brainslice.errors import UsageError

Confusion: TypeAlias = Int[np.ndarray, "k k"]
"""How many scans of each true class (row) were called each class (column)."""

Confusions: TypeAlias = Real[np.ndarray, "*draws k k"]
"""Many confusion matrices, or one; weighted counts may be fractions."""

Values: TypeAlias = Float[np.ndarray, "*draws"]
"""One number for each confusion matrix."""


@dataclass(frozen=True, slots=True)
class ClassScore:
    """How well one class is found.

    Attributes:
        name: The class.
        precision: Share of the scans called this class that are; None where none was called so.
        recall: Share of the scans of this class that were found; None where there is none.
        f1: Their harmonic mean; None where the class neither occurs nor is ever called.
        support: Scans of this class.
    """

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


def confusion(labels: Labels, predictions: Labels, classes: int) -> Confusion:
    """Count which class was called what.

    Args:
        labels: True classes ``(n,)``, each in ``[0, classes)``.
        predictions: The classes that were called ``(n,)``, likewise.
        classes: How many classes there are.

    Returns:
        Counts ``(k, k)``: the true class selects the row, the predicted one the column.

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
    """Give the share of scans that were called what they are.

    Raises:
        UsageError: The matrix counts no scan.
    """
    return float(accuracy_of_each(_counting_something(matrix)))


def macro_f1(matrix: Confusion) -> float:
    """Average the F1 score over the classes that occur or are called, each counting the same.

    Raises:
        UsageError: The matrix counts no scan.
    """
    return float(macro_f1_of_each(_counting_something(matrix)))


def balanced_accuracy(matrix: Confusion) -> float:
    """Average the recall over the classes that occur, each counting the same.

    Raises:
        UsageError: The matrix counts no scan.
    """
    return float(balanced_accuracy_of_each(_counting_something(matrix)))


def accuracy_of_each(matrices: Confusions) -> Values:
    """Give the accuracy of many confusion matrices at once; each must count something."""
    return np.asarray(_diagonals(matrices).sum(axis=-1) / matrices.sum(axis=(-2, -1)))


def macro_f1_of_each(matrices: Confusions) -> Values:
    """Give the macro F1 score of many confusion matrices at once; each must count something."""
    called_and_true = matrices.sum(axis=-1) + matrices.sum(axis=-2)
    return _mean_where_defined(2 * _diagonals(matrices), called_and_true)


def balanced_accuracy_of_each(matrices: Confusions) -> Values:
    """Give the balanced accuracy of many confusion matrices at once; each must count something."""
    return _mean_where_defined(_diagonals(matrices), matrices.sum(axis=-1))


def per_class(matrix: Confusion, names: tuple[str, ...]) -> tuple[ClassScore, ...]:
    """Score each class by itself, in the order of the matrix.

    Args:
        matrix: Counts ``(k, k)``, true classes in rows.
        names: The ``k`` classes.
    """
    return tuple(
        ClassScore(
            name=name,
            precision=_ratio(right, called),
            recall=_ratio(right, true),
            f1=_ratio(2 * right, called + true),
            support=true,
        )
        for name, right, called, true in zip(
            names, np.diagonal(matrix).tolist(), matrix.sum(axis=0).tolist(), matrix.sum(axis=1).tolist(), strict=True
        )
    )


def _diagonals(matrices: Confusions) -> Real[np.ndarray, "*draws k"]:
    return np.diagonal(matrices, axis1=-2, axis2=-1)


def _mean_where_defined(above: Real[np.ndarray, "*draws k"], below: Real[np.ndarray, "*draws k"]) -> Values:
    """Average quotients over the classes whose divisor is not zero."""
    defined = below > 0
    quotients = np.divide(above, below, out=np.zeros(above.shape), where=defined)
    return np.asarray(quotients.sum(axis=-1) / defined.sum(axis=-1))


def _ratio(above: int, below: int) -> float | None:
    return above / below if below else None


def _counting_something(matrix: Confusion) -> Confusion:
    if matrix.sum() == 0:
        msg = "a confusion matrix must count at least one scan, got none"
        raise UsageError(msg)
    return matrix
