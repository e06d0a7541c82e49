"""A model beside the shortcut floor, on the same scans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from brainslice.arrays import Labels
from brainslice.metrics.comparison import McNemar, format_p_value, mcnemar
from brainslice.metrics.scoring import TITLES, Score, ScoringInputs, decision_scores, tumour_scores


@dataclass(frozen=True, slots=True, eq=False)
class BaselineComparison:
    """What a model without any spatial information reaches on the same scans.

    Attributes:
        predictions: The classes it calls ``(n,)``.
        scores: The same decision and tumour scores as the model's.
        test: McNemar's test; "first" is the model, "second" the floor.
    """

    predictions: Labels
    scores: tuple[Score, ...]
    test: McNemar

    def to_json(self) -> dict[str, Any]:
        """Write scores and test in plain types."""
        return {
            "scores": {score.name: score.to_json() for score in self.scores},
            "mcnemar": {
                "only_model_right": self.test.only_first,
                "only_floor_right": self.test.only_second,
                "p_value": self.test.p_value,
                "method": self.test.method,
                "p_value_by_group": self.test.p_value_by_group,
            },
        }

    def summary_lines(self) -> tuple[str, ...]:
        """Say what the floor reaches, and whether the model differs from it."""
        reached = "; ".join(f"{TITLES[score.name]} {score.text}" for score in self.scores[:3])
        by_group = self.test.p_value_by_group
        grouped = "" if by_group is None else f"; by group {format_p_value(by_group)}"
        return (
            f"floor (grey levels only, no shape): {reached}",
            (
                f"model against floor: right alone {self.test.only_first} to {self.test.only_second}, "
                f"McNemar {format_p_value(self.test.p_value)} ({self.test.method}{grouped})"
            ),
        )


def compare_with_baseline(model: ScoringInputs, floor: ScoringInputs, threshold: float) -> BaselineComparison:
    """Score the floor like the model, and test whether the two differ.

    Args:
        model: The model's probabilities beside the truth.
        floor: The floor's, on the same scans.
        threshold: P(tumour) from which a scan is called a tumour.
    """
    right, floor_right = model.predictions == model.labels, floor.predictions == floor.labels
    return BaselineComparison(
        predictions=floor.predictions,
        scores=(*decision_scores(floor), *tumour_scores(floor, threshold)),
        test=mcnemar(right, floor_right, model.groups),
    )
