"""Several ways of telling tumours from healthy scans, on the same scans of another site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from brainslice.arrays import Decisions, Groups, Scores
from brainslice.measure.compare import McNemar
from brainslice.measure.two_kinds import TwoKinds, compare_calls, score_two_kinds


@dataclass(frozen=True, slots=True, eq=False)
class Contestant:
    """One way of telling, and what it said.

    Attributes:
        name: What it is called.
        chances: P(tumour) of each scan ``(n,)``.
        called: Which scans it called tumours ``(n,)``.
        note: What must be known of it: where its threshold comes from, what it was told.
        source_macro_f1: Macro F1 on source scans that trained nothing, where it was measured.
    """

    name: str
    chances: Scores
    called: Decisions
    note: str
    source_macro_f1: float | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """What one way came to.

    Attributes:
        name: What it is called.
        scores: How well it tells the two kinds apart.
        against_first: McNemar's test against the first contestant; None for that one itself.
        note: What must be known of it.
        source_macro_f1: Macro F1 on source scans that trained nothing, where it was measured.
    """

    name: str
    scores: TwoKinds
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


def contest(tumours: Decisions, groups: Groups, contestants: Sequence[Contestant]) -> tuple[Entry, ...]:
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
        scores = score_two_kinds(tumours, each.chances, each.called, groups)
        against = compare_calls(tumours, contestants[0].called, each.called, groups) if place else None
        entries.append(Entry(each.name, scores, against, each.note, each.source_macro_f1))
    return tuple(entries)
