"""Every test scan that was called wrongly, the surest mistake first."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from brainslice.evaluation.scoring import ScoredTestSet
from brainslice.inference.prediction import Prediction
from brainslice.progress import Progress, silent


class MistakeKind(StrEnum):
    """What went wrong, the gravest first."""

    MISSED_TUMOUR = "missed tumour"
    FALSE_ALARM = "false alarm"
    WRONG_CLASS = "wrong class"


@dataclass(frozen=True, slots=True, eq=False)
class Mistake:
    """One test scan that was called wrongly.

    Attributes:
        path: The file, relative to the prepared set.
        source: Where it came from, relative to the set it was prepared from.
        group: Its group.
        true: The class it is of.
        kind: What went wrong.
        answer: What users would be told of it, with heat map and prediction set.
    """

    path: str
    source: str
    group: str
    true: str
    kind: MistakeKind
    answer: Prediction

    @property
    def true_probability(self) -> float:
        """How probable the model thought the truth."""
        return self.answer.probabilities[self.true]

    def to_json(self) -> dict[str, Any]:
        """Write the mistake in plain types, without any picture."""
        told = self.answer.to_json()
        kept = ("tumour_probability", "threshold", "verdict", "prediction_set", "coverage", "ood_score", "entropy")
        return {
            "path": self.path,
            "source": self.source,
            "group": self.group,
            "true": self.true,
            "predicted": self.answer.most_probable_class,
            "kind": self.kind.value,
            "true_probability": self.true_probability,
            "called_probability": self.answer.probabilities[self.answer.most_probable_class],
            **{name: told[name] for name in kept},
        }


def find_mistakes(judged: ScoredTestSet, progress: Progress = silent) -> tuple[Mistake, ...]:
    """List the test scans whose class is not the most probable one, or that the threshold gets wrong.

    Args:
        judged: A bundle and the test scans it met; looking at its mistakes is part of that opening.
        progress: Hears how far it is.

    Returns:
        One entry for each, those first whose truth was thought least probable.
    """
    scored, threshold = judged.scored, judged.predictor.threshold
    healthy = judged.manifest.labels.healthy_index
    tumour = scored.labels != healthy
    called = 1.0 - scored.probabilities[:, healthy] >= threshold
    wrong = np.flatnonzero((scored.probabilities.argmax(axis=1) != scored.labels) | (called != tumour))
    surest = wrong[np.argsort(scored.probabilities[wrong, scored.labels[wrong]], kind="stable")]
    mistakes = []
    for place in surest.tolist():
        record = judged.manifest.records[judged.split.test[place]]
        answer = judged.predictor.predict(judged.manifest.root / record.path)
        kind = _kind(bool(tumour[place]), bool(called[place]))
        mistakes.append(Mistake(record.path, record.source, record.group, record.label, kind, answer))
        progress("looking at mistakes", len(mistakes), len(surest))
    return tuple(mistakes)


def _kind(tumour: bool, called: bool) -> MistakeKind:  # noqa: FBT001 - the truth and the call
    if tumour == called:
        return MistakeKind.WRONG_CLASS
    return MistakeKind.MISSED_TUMOUR if tumour else MistakeKind.FALSE_ALARM
