"""Metrics of subgroups of a test set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from brainslice.arrays import Decisions
from brainslice.errors import UsageError
from brainslice.metrics.intervals import LEVEL
from brainslice.metrics.scoring import Score, proportion


@dataclass(frozen=True, slots=True)
class SubgroupRow:
    """The metrics of the scans with one value of an attribute.

    Attributes:
        attribute: The attribute, as ``class`` or ``size``.
        value: Its value.
        n: The number of scans.
        groups: The number of groups they come from.
        accuracy: The share of correctly predicted classes.
        sensitivity: The share of tumours predicted as tumours at the threshold.
        specificity: The share of healthy scans predicted as healthy.
    """

    attribute: str
    value: str
    n: int
    groups: int
    accuracy: Score
    sensitivity: Score
    specificity: Score

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain types."""
        scores = {score.name: score.to_json() for score in (self.accuracy, self.sensitivity, self.specificity)}
        return {"attribute": self.attribute, "value": self.value, "n": self.n, "groups": self.groups, **scores}


@dataclass(frozen=True, slots=True, eq=False)
class BinaryPredictions:
    """Predictions and truth of each scan.

    Attributes:
        correct: Whether the predicted class is correct ``(n,)``.
        tumour: Whether the scan shows a tumour ``(n,)``.
        predicted: Whether it is predicted as a tumour at the threshold ``(n,)``.
        groups: The group of each scan ``(n,)``.
        healthy: Whether the scan shows no tumour ``(n,)``; all others where None.
    """

    correct: Decisions
    tumour: Decisions
    predicted: Decisions
    groups: np.ndarray
    healthy: Decisions | None = None


def subgroup_rows(
    attribute: str, values: Sequence[str], predictions: BinaryPredictions, level: float = LEVEL
) -> tuple[SubgroupRow, ...]:
    """Score the scans of each value of an attribute.

    Nothing is corrected for the number of rows: of twenty intervals at 95 %, one misses the truth by chance.

    Raises:
        UsageError: There are not as many values as scans.
    """
    if len(values) != len(predictions.correct):
        msg = f"{attribute} must have a value for each of {len(predictions.correct)} scans, got {len(values)} values"
        raise UsageError(msg)
    column = np.array(values)
    return tuple(_row(attribute, value, column == value, predictions, level) for value in sorted(set(values)))


def size_bins(sizes: Sequence[int], bins: int = 3) -> list[str]:
    """Put sizes into bins of about equal counts, named by their ends.

    Args:
        sizes: The longer side of each image, in pixels.
        bins: The maximum number of bins; fewer if many images share a size.

    Returns:
        The bin of each, such as ``"0200-0256 px"``; names sort as sizes do.
    """
    values, counts = np.unique(np.array(sizes, np.int64), return_counts=True)
    wanted = len(sizes) * np.arange(1, bins) / bins
    # Many images may share one size: a bin ends at the size nearest to its share of the images.
    nearest = np.abs(np.cumsum(counts)[:, None] - wanted).argmin(axis=0)
    edges = np.unique([*values[nearest], values[-1]])
    indices = np.searchsorted(edges, sizes)
    members = [np.array(sizes)[indices == index] for index in range(len(edges))]
    return [f"{members[index].min():04d}-{members[index].max():04d} px" for index in indices]


def _row(attribute: str, value: str, inside: Decisions, predictions: BinaryPredictions, level: float) -> SubgroupRow:
    tumours = inside & predictions.tumour
    healthy = inside & (~predictions.tumour if predictions.healthy is None else predictions.healthy)
    return SubgroupRow(
        attribute=attribute,
        value=value,
        n=int(inside.sum()),
        groups=len(np.unique(predictions.groups[inside])),
        accuracy=proportion("accuracy", predictions.correct[inside], predictions.groups[inside], level),
        sensitivity=proportion("sensitivity", predictions.predicted[tumours], predictions.groups[tumours], level),
        specificity=proportion("specificity", ~predictions.predicted[healthy], predictions.groups[healthy], level),
    )
