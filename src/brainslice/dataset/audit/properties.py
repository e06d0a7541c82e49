"""Shortcuts: properties of files that predict the class without the image."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from PIL import Image

from brainslice.array_types import Int
from brainslice.scan import RASTER_FORMATS


@dataclass(frozen=True, slots=True)
class FileProperties:
    """The storage properties of an image file.

    Attributes:
        mode: Pillow's colour mode, such as ``L`` or ``RGB``.
        format: The format by content.
        suffix: The casefolded suffix of the name.
        size: Columns and rows.
        aspect: Columns divided by rows, rounded to a twentieth.
    """

    mode: str
    format: str
    suffix: str
    size: str
    aspect: str


@dataclass(frozen=True, slots=True)
class Shortcut:
    """The association of a file property with the class.

    Attributes:
        name: The property's name, a field of ``FileProperties``.
        values: Number of different values.
        strength: Bias-corrected Cramer's V, from 0 (independent) to 1.
        accuracy: Leave-one-out accuracy of predicting the class from the property.
        majority: Accuracy of always predicting the most frequent class.
    """

    name: str
    values: int
    strength: float
    accuracy: float
    majority: float

    @property
    def predictive(self) -> bool:
        """Whether it improves the accuracy by at least 5 percentage points."""
        return self.accuracy >= self.majority + 0.05


def file_properties(path: Path) -> FileProperties:
    """Read the properties from a file's header; mode and size are ``other`` if Pillow cannot read it."""
    ending = path.suffix.casefold()
    try:
        with warnings.catch_warnings():
            # Reading the scan has reported problems already.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=RASTER_FORMATS) as image:
                columns, rows = image.size
                aspect = f"{round(columns / rows * 20) / 20:.2f}"
                return FileProperties(image.mode, str(image.format), ending, f"{columns} x {rows}", aspect)
    except OSError:
        return FileProperties("other", "other", ending, "other", "other")


def find_shortcuts(properties: Sequence[FileProperties], labels: Sequence[str]) -> tuple[Shortcut, ...]:
    """Measure the association of each property with the class.

    Args:
        properties: One for each file.
        labels: The files' classes.

    Returns:
        One entry for each property, the most predictive first; none where there is one class only.
    """
    classes = sorted(set(labels))
    if len(classes) < 2:  # noqa: PLR2004 - nothing to predict
        return ()
    found = []
    for name in (field.name for field in fields(FileProperties)):
        values = [str(getattr(each, name)) for each in properties]
        table = _count(values, labels)
        majority = float(table.sum(axis=0).max() / table.sum())
        accuracy = max(guessing_accuracy(table), majority)
        found.append(Shortcut(name, len(table), cramers_v(table), accuracy, majority))
    return tuple(sorted(found, key=lambda each: (-each.accuracy, -each.strength)))


def cramers_v(table: Int[np.ndarray, "values classes"]) -> float:
    """Compute the bias-corrected Cramér's V of a contingency table.

    Without the correction V is above 0 for independent variables.

    Args:
        table: Counts ``(values, classes)``.

    Returns:
        A number from 0 to 1.

    Reference:
        Bergsma, A bias-correction for Cramer's V and Tschuprow's T, J. Korean Stat. Soc. 42 (2013).
    """
    counts = table[np.ix_(table.sum(axis=1) > 0, table.sum(axis=0) > 0)].astype(np.float64)
    total = counts.sum()
    values, classes = counts.shape
    if min(values, classes) < 2 or total < 2:  # noqa: PLR2004 - undefined for constants
        return 0.0
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0, keepdims=True) / total
    square = float(((counts - expected) ** 2 / expected).sum() / total)
    square = max(0.0, square - (values - 1) * (classes - 1) / (total - 1))
    least = min(size - (size - 1) ** 2 / (total - 1) for size in (values, classes))
    return min(1.0, math.sqrt(square / (least - 1))) if least > 1 else 0.0


def guessing_accuracy(table: Int[np.ndarray, "values classes"]) -> float:
    """Compute the leave-one-out accuracy of predicting the class from a property.

    Args:
        table: Counts ``(values, classes)``.
    """
    totals = table.sum(axis=0)
    correct = 0
    for value, label in zip(*np.nonzero(table), strict=True):
        others = table[value].astype(np.float64)
        others[label] -= 1
        all_others = totals.astype(np.float64)
        all_others[label] -= 1
        # Ties, and unique values, go to the more frequent class.
        predicted = int(np.argmax(others + all_others / (2 * table.sum())))
        correct += int(table[value, label]) if predicted == label else 0
    return correct / int(table.sum())


def _count(values: Sequence[str], labels: Sequence[str]) -> Int[np.ndarray, "values classes"]:
    kinds, row = np.unique(values, return_inverse=True)
    classes, column = np.unique(labels, return_inverse=True)
    table = np.zeros((len(kinds), len(classes)), dtype=np.int64)
    np.add.at(table, (row, column), 1)
    return table
