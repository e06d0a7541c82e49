"""Each class by itself, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from brainslice.metrics.classification import per_class
from brainslice.metrics.intervals.bootstrap import clustered_bootstrap
from brainslice.metrics.scoring import Score, ScoringInputs, proportion


@dataclass(frozen=True, slots=True)
class ClassRow:
    """How well one class is found, and how far to believe that.

    Attributes:
        name: The class.
        precision: Share of the scans called this class that are.
        recall: Share of the scans of this class that were found.
        f1: Their harmonic mean.
        support: Scans of this class.
    """

    name: str
    precision: Score
    recall: Score
    f1: Score
    support: int

    def to_json(self) -> dict[str, Any]:
        """Write the row in plain types."""
        return {
            "precision": self.precision.to_json(),
            "recall": self.recall.to_json(),
            "f1": self.f1.to_json(),
            "support": self.support,
        }


def class_rows(judged: ScoringInputs) -> tuple[ClassRow, ...]:
    """Score each class by itself, in the order of the classes."""
    plain = per_class(judged.confusion, judged.label_set.names)
    rows = []
    for place, found in enumerate(plain):
        true, called = judged.labels == place, judged.predictions == place
        level = judged.resampling.level
        rows.append(
            ClassRow(
                name=found.name,
                precision=proportion("precision", true[called], judged.groups[called], level),
                recall=proportion("recall", called[true], judged.groups[true], level),
                f1=_f1(judged, true, called, found.f1),
                support=found.support,
            )
        )
    return tuple(rows)


def _f1(judged: ScoringInputs, true: np.ndarray, called: np.ndarray, value: float | None) -> Score:
    either = true | called
    if value is None:
        return Score("f1", None, None, 0, 0, "undefined: the class neither occurs nor is called")
    parts = np.column_stack([2 * (true & called), true.astype(int) + called])
    interval = clustered_bootstrap(_quotients, parts, judged.resampling)
    note = "" if interval else "no interval: drawing groups again never changes the value"
    return Score("f1", value, interval, int(either.sum()), len(np.unique(judged.groups[either])), note)


def _quotients(sums: np.ndarray) -> np.ndarray:
    above, below = sums[:, 0].astype(float), sums[:, 1]
    return np.asarray(np.divide(above, below, out=np.full(len(sums), np.nan), where=below > 0))
