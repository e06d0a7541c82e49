"""ROC and precision-recall curves of each class against the rest, with intervals of their areas."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from brainslice.metrics.bootstrap import bootstrap_of_draws
from brainslice.metrics.curves.ranking import (
    Curve,
    average_precision,
    average_precision_of_each,
    delong,
    precision_recall,
    rank_by_group,
    roc,
)
from brainslice.metrics.scoring import Score, ScoringInputs


@dataclass(frozen=True, slots=True, eq=False)
class ClassCurves:
    """The curves of one class against the rest.

    Attributes:
        name: The class.
        roc: True against false positive rate.
        area: The area under the ROC curve.
        precision_recall: Precision against recall.
        average_precision: The area under the precision-recall curve, without interpolation.
        prevalence: The share of scans of the class: the precision of a random classifier.
    """

    name: str
    roc: Curve
    area: Score
    precision_recall: Curve
    average_precision: Score
    prevalence: float

    def to_json(self) -> dict[str, Any]:
        """Return points and areas as plain types."""
        return {
            "prevalence": self.prevalence,
            "auc": self.area.to_json(),
            "average_precision": self.average_precision.to_json(),
            "roc": {"false_positive_rate": self.roc.x.tolist(), "true_positive_rate": self.roc.y.tolist()},
            "precision_recall": {
                "recall": self.precision_recall.x.tolist(),
                "precision": self.precision_recall.y.tolist(),
            },
        }


def trace_curves(inputs: ScoringInputs) -> tuple[ClassCurves, ...]:
    """Compute the curves of each class that some, but not all scans have."""
    return tuple(
        _class_curves(inputs, index)
        for index, support in enumerate(inputs.confusion.sum(axis=1))
        if 0 < support < len(inputs.labels)
    )


def _class_curves(inputs: ScoringInputs, index: int) -> ClassCurves:
    positive, scores = inputs.labels == index, inputs.probabilities[:, index]
    ranking = rank_by_group(positive, scores, inputs.resampling.members)
    interval = bootstrap_of_draws(partial(average_precision_of_each, ranking), inputs.resampling)
    return ClassCurves(
        name=inputs.label_set.names[index],
        roc=roc(positive, scores),
        area=inputs.score("auc", *delong(positive, scores, inputs.groups, inputs.resampling.level)),
        precision_recall=precision_recall(positive, scores),
        average_precision=inputs.score("average_precision", average_precision(positive, scores), interval),
        prevalence=float(positive.mean()),
    )
