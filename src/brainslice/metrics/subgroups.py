"""Results of parts of a test set, so that a good mean cannot hide a bad part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from brainslice.arrays import Decisions
from brainslice.errors import UsageError
from brainslice.metrics.intervals.asymptotic import LEVEL
from brainslice.metrics.scoring import Score, proportion


@dataclass(frozen=True, slots=True)
class SubgroupRow:
    """How a model does on the scans that share something.

    Attributes:
        attribute: What is looked at, as ``class`` or ``size``.
        value: What these scans share.
        n: How many they are.
        groups: Groups they come from.
        accuracy: Share of them whose class is called rightly.
        sensitivity: Share of their tumours called tumours at the threshold.
        specificity: Share of their healthy scans called healthy at it.
    """

    attribute: str
    value: str
    n: int
    groups: int
    accuracy: Score
    sensitivity: Score
    specificity: Score

    def to_json(self) -> dict[str, Any]:
        """Write the row in plain types."""
        return {
            "attribute": self.attribute,
            "value": self.value,
            "n": self.n,
            "groups": self.groups,
            "accuracy": self.accuracy.to_json(),
            "sensitivity": self.sensitivity.to_json(),
            "specificity": self.specificity.to_json(),
        }


@dataclass(frozen=True, slots=True, eq=False)
class BinaryPredictions:
    """What was called of each scan, beside the truth.

    Attributes:
        right: Whether the class was called rightly ``(n,)``.
        tumour: Whether it shows a tumour ``(n,)``.
        called: Whether it was called a tumour at the threshold ``(n,)``.
        groups: The group of each scan ``(n,)``.
    """

    right: Decisions
    tumour: Decisions
    called: Decisions
    groups: np.ndarray


def subgroup_rows(
    attribute: str, values: Sequence[str], calls: BinaryPredictions, level: float = LEVEL
) -> tuple[SubgroupRow, ...]:
    """Score the scans of each value of an attribute by themselves.

    Nothing is corrected for the number of rows: of twenty intervals at 95 %, one misses the truth by chance.

    Args:
        attribute: What is looked at.
        values: The value of each scan ``(n,)``; rows come in their sorted order.
        calls: What was called, beside the truth.
        level: How often an interval is to hold the truth.

    Raises:
        UsageError: There are not as many values as scans.
    """
    if len(values) != len(calls.right):
        msg = f"{attribute} must be known of each of {len(calls.right)} scans, got {len(values)} values"
        raise UsageError(msg)
    told = np.array(values)
    return tuple(_row(attribute, value, told == value, calls, level) for value in sorted(set(values)))


def size_bins(sizes: Sequence[int], bins: int = 3) -> list[str]:
    """Put sizes into about equally full bins, named by their ends.

    Args:
        sizes: The longer side of each picture, in pixels.
        bins: How many bins at most; fewer where many pictures are of one size.

    Returns:
        The bin of each, such as ``"0200-0256 px"``; names sort as sizes do.
    """
    values, counts = np.unique(np.array(sizes, np.int64), return_counts=True)
    wanted = len(sizes) * np.arange(1, bins) / bins
    # Many pictures may share one size: a bin ends at the size that comes nearest to the share it should hold.
    nearest = np.abs(np.cumsum(counts)[:, None] - wanted).argmin(axis=0)
    edges = np.unique([*values[nearest], values[-1]])
    place = np.searchsorted(edges, sizes)
    names = []
    for each in range(len(edges)):
        inside = np.array(sizes)[place == each]
        names.append(f"{inside.min():04d}-{inside.max():04d} px")
    return [names[each] for each in place]


def _row(attribute: str, value: str, inside: Decisions, calls: BinaryPredictions, level: float) -> SubgroupRow:
    sick, well = inside & calls.tumour, inside & ~calls.tumour
    return SubgroupRow(
        attribute=attribute,
        value=value,
        n=int(inside.sum()),
        groups=len(np.unique(calls.groups[inside])),
        accuracy=proportion("accuracy", calls.right[inside], calls.groups[inside], level),
        sensitivity=proportion("sensitivity", calls.called[sick], calls.groups[sick], level),
        specificity=proportion("specificity", ~calls.called[well], calls.groups[well], level),
    )
