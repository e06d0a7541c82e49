"""Several ways of telling tumours from healthy scans, on the same scans of another site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from brainslice.arrays import Decisions, Groups, Scores
from brainslice.metrics.binary import BinaryScores, binary_scores, compare_predictions
from brainslice.metrics.comparison import McNemar


@dataclass(frozen=True, slots=True, eq=False)
class Method:
    """One way of telling, and what it said.

    Attributes:
        name: What it is called.
        probabilities: P(tumour) of each scan ``(n,)``.
        predictions: Which scans it called tumours ``(n,)``.
        note: What must be known of it: where its threshold comes from, what it was told.
        source_macro_f1: Macro F1 on source scans that trained nothing, where it was measured.
    """

    name: str
    probabilities: Scores
    predictions: Decisions
    note: str
    source_macro_f1: float | None = None


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """What one way came to.

    Attributes:
        name: What it is called.
        scores: How well it tells the two kinds apart.
        against_first: McNemar's test against the first contestant; None for that one itself.
        note: What must be known of it.
        source_macro_f1: Macro F1 on source scans that trained nothing, where it was measured.
    """

    name: str
    scores: BinaryScores
    against_first: McNemar | None
    note: str
    source_macro_f1: float | None

    def to_json(self) -> dict[str, Any]:
        """Write everything in plain types."""
        return {
            "name": self.name,
            **self.scores.to_json(),
            "mcnemar_against_first": None if self.against_first is None else asdict(self.against_first),
            "source_macro_f1": self.source_macro_f1,
            "note": self.note,
        }


def compare_methods(tumours: Decisions, groups: Groups, contestants: Sequence[Method]) -> tuple[ComparisonRow, ...]:
    """Score contestants on the same scans, and test each against the first.

    Args:
        tumours: Whether each scan is a tumour ``(n,)``.
        groups: The group of each scan ``(n,)``.
        contestants: At least one.

    Raises:
        UsageError: One of the two kinds is missing.
    """
    entries = []
    for place, each in enumerate(contestants):
        scores = binary_scores(tumours, each.probabilities, each.predictions, groups)
        against = compare_predictions(tumours, contestants[0].predictions, each.predictions, groups) if place else None
        entries.append(ComparisonRow(each.name, scores, against, each.note, each.source_macro_f1))
    return tuple(entries)
