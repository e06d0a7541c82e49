"""Tumour or healthy: what one way of telling them apart comes to on a set, and two ways side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from brainslice.arrays import Decisions, Groups, Scores
from brainslice.errors import UsageError
from brainslice.metrics.comparison import McNemar, mcnemar
from brainslice.metrics.intervals.asymptotic import LEVEL, delong
from brainslice.metrics.scoring import Score, proportion


@dataclass(frozen=True, slots=True)
class BinaryScores:
    """How well tumours are told from healthy scans.

    Attributes:
        auc: The area under the ROC curve, with DeLong's interval by group.
        sensitivity: Share of the tumours that were called so.
        specificity: Share of the healthy scans that were called so.
        accuracy: Share of all scans that were called what they are.
        false_negatives: Tumours that were called healthy.
        false_positives: Healthy scans that were called tumours.
    """

    auc: Score
    sensitivity: Score
    specificity: Score
    accuracy: Score
    false_negatives: int
    false_positives: int

    def to_json(self) -> dict[str, Any]:
        """Write everything in plain types."""
        scores = {name: getattr(self, name).to_json() for name in ("auc", "sensitivity", "specificity", "accuracy")}
        return {**scores, "false_negatives": self.false_negatives, "false_positives": self.false_positives}


def binary_scores(
    tumours: Decisions, chances: Scores, called: Decisions, groups: Groups, level: float = LEVEL
) -> BinaryScores:
    """Score calls of tumour or healthy.

    Args:
        tumours: Whether each scan is a tumour ``(n,)``; some are and some are not.
        chances: P(tumour) of each scan ``(n,)``, for the area under the curve.
        called: Which scans were called tumours ``(n,)``.
        groups: The group of each scan ``(n,)``.
        level: How often an interval is to hold the truth.

    Raises:
        UsageError: One of the two kinds is missing.
    """
    if tumours.all() or not tumours.any():
        msg = f"scoring needs tumours and healthy scans, got {int(tumours.sum())} tumours of {len(tumours)}"
        raise UsageError(msg)
    area, interval = delong(tumours, chances, groups, level)
    note = "" if interval else "no interval: the ranking is without fault, or one kind comes from one group only"
    return BinaryScores(
        auc=Score("auc", area, interval, len(tumours), len(np.unique(groups)), note),
        sensitivity=proportion("sensitivity", called[tumours], groups[tumours], level),
        specificity=proportion("specificity", ~called[~tumours], groups[~tumours], level),
        accuracy=proportion("accuracy", called == tumours, groups, level),
        false_negatives=int((tumours & ~called).sum()),
        false_positives=int((~tumours & called).sum()),
    )


def compare_predictions(tumours: Decisions, first: Decisions, second: Decisions, groups: Groups) -> McNemar:
    """Test whether two ways of calling scans are right equally often."""
    return mcnemar(first == tumours, second == tumours, groups)
