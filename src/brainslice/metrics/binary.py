"""Tumour against healthy: scores of one method, and comparison of two methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from brainslice.arrays import Decisions, Groups, Scores
from brainslice.errors import UsageError
from brainslice.metrics.comparison import McNemar, mcnemar
from brainslice.metrics.intervals import LEVEL
from brainslice.metrics.scoring import Score, auc_score, proportion


@dataclass(frozen=True, slots=True)
class BinaryScores:
    """Scores of tumour against healthy.

    Attributes:
        auc: The area under the ROC curve, with DeLong's interval by group.
        sensitivity: The share of tumours predicted as tumours.
        specificity: The share of healthy scans predicted as healthy.
        accuracy: The share of correct predictions.
        false_negatives: Tumours predicted as healthy.
        false_positives: Healthy scans predicted as tumours.
    """

    auc: Score
    sensitivity: Score
    specificity: Score
    accuracy: Score
    false_negatives: int
    false_positives: int

    def to_json(self) -> dict[str, Any]:
        """Return all scores as plain types."""
        scores = {name: getattr(self, name).to_json() for name in ("auc", "sensitivity", "specificity", "accuracy")}
        return {**scores, "false_negatives": self.false_negatives, "false_positives": self.false_positives}


def binary_scores(
    tumours: Decisions, scores: Scores, predicted: Decisions, groups: Groups, level: float = LEVEL
) -> BinaryScores:
    """Score predictions of tumour or healthy.

    Raises:
        UsageError: One of the two classes is missing.
    """
    if tumours.all() or not tumours.any():
        msg = f"scoring needs tumours and healthy scans, got {int(tumours.sum())} tumours of {len(tumours)}"
        raise UsageError(msg)
    return BinaryScores(
        auc=auc_score("auc", tumours, scores, groups, level),
        sensitivity=proportion("sensitivity", predicted[tumours], groups[tumours], level),
        specificity=proportion("specificity", ~predicted[~tumours], groups[~tumours], level),
        accuracy=proportion("accuracy", predicted == tumours, groups, level),
        false_negatives=int((tumours & ~predicted).sum()),
        false_positives=int((~tumours & predicted).sum()),
    )


def compare_predictions(tumours: Decisions, first: Decisions, second: Decisions, groups: Groups) -> McNemar:
    """Test whether two methods are correct equally often."""
    return mcnemar(first == tumours, second == tumours, groups)
