"""The curves of each class against the rest, with the areas under them and their intervals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from brainslice.arrays import Decisions, Scores
from brainslice.metrics.curves.ranking import (
    Curve,
    average_precision,
    average_precision_of_each,
    precision_recall,
    rank_by_group,
    roc,
)
from brainslice.metrics.intervals.asymptotic import delong
from brainslice.metrics.intervals.bootstrap import bootstrap_of_draws
from brainslice.metrics.scoring import Score, ScoringInputs


@dataclass(frozen=True, slots=True, eq=False)
class ClassCurves:
    """One class against the rest.

    Attributes:
        name: The class.
        roc: True against false positive rate.
        area: The area under it.
        precision_recall: Precision against recall.
        average_precision: The area under that, without interpolation.
        prevalence: The share of scans that have the class: what guessing reaches.
    """

    name: str
    roc: Curve
    area: Score
    precision_recall: Curve
    average_precision: Score
    prevalence: float

    def to_json(self) -> dict[str, Any]:
        """Write points and areas in plain types."""
        return {
            "prevalence": self.prevalence,
            "auc": self.area.to_json(),
            "average_precision": self.average_precision.to_json(),
            "roc": {
                "false_positive_rate": self.roc.x.tolist(),
                "true_positive_rate": self.roc.y.tolist(),
            },
            "precision_recall": {
                "recall": self.precision_recall.x.tolist(),
                "precision": self.precision_recall.y.tolist(),
            },
        }


def trace_curves(judged: ScoringInputs) -> tuple[ClassCurves, ...]:
    """Trace the curves of each class that some, but not all scans have."""
    curves = []
    for place, name in enumerate(judged.label_set.names):
        positive, chance = judged.labels == place, judged.probabilities[:, place]
        if positive.any() and not positive.all():
            curves.append(
                ClassCurves(
                    name=name,
                    roc=roc(positive, chance),
                    area=_area(judged, positive, chance),
                    precision_recall=precision_recall(positive, chance),
                    average_precision=_average_precision(judged, positive, chance),
                    prevalence=float(positive.mean()),
                )
            )
    return tuple(curves)


def _area(judged: ScoringInputs, positive: Decisions, chance: Scores) -> Score:
    area, interval = delong(positive, chance, judged.groups, judged.resampling.level)
    return judged.score("auc", area, interval)


def _average_precision(judged: ScoringInputs, positive: Decisions, chance: Scores) -> Score:
    ranking = rank_by_group(positive, chance, judged.resampling.members)
    interval = bootstrap_of_draws(partial(average_precision_of_each, ranking), judged.resampling)
    return judged.score("average_precision", average_precision(positive, chance), interval)
