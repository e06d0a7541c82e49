"""What a model leaves to a person, how often its prediction sets hold, and how good it is on the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool
from scipy.stats import binom

from brainslice.arrays import Decisions, Groups, Labels, Probabilities, Scores
from brainslice.labels import LabelSet
from brainslice.metrics.curves.risk_coverage import RiskCoverage, risk_coverage
from brainslice.metrics.intervals.bootstrap import Resampling, clustered_bootstrap
from brainslice.metrics.scoring import Score, proportion

_BAND = 0.99


@dataclass(frozen=True, slots=True, eq=False)
class AbstentionInputs:
    """What was said about each scan besides its probabilities.

    Attributes:
        uncertainty: How doubtful each answer is ``(n,)``.
        reasons: For each scan the codes of the reasons why a person has to look; empty where none has to.
        prediction_sets: Whether each class is in the prediction set ``(n, k)``; None where the bundle makes none.
        coverage: How often those sets are to hold the true class; None likewise.
    """

    uncertainty: Scores
    reasons: tuple[tuple[str, ...], ...]
    prediction_sets: Bool[np.ndarray, "n k"] | None = None
    coverage: float | None = None

    @property
    def referred(self) -> Decisions:
        """Whether each scan is left to a person ``(n,)``."""
        return np.array([bool(reasons) for reasons in self.reasons])

    @classmethod
    def join(cls, parts: Sequence[AbstentionInputs]) -> AbstentionInputs:
        """Lay what was said about several sets of scans end to end; at least one, all with sets or all without."""
        sets = [part.prediction_sets for part in parts if part.prediction_sets is not None]
        return cls(
            uncertainty=np.concatenate([part.uncertainty for part in parts]),
            reasons=tuple(reasons for part in parts for reasons in part.reasons),
            prediction_sets=np.concatenate(sets) if sets else None,
            coverage=parts[0].coverage,
        )


@dataclass(frozen=True, slots=True)
class CoverageRate:
    """How often the sets of one class's scans hold that class.

    Attributes:
        name: The class.
        score: The share, its interval by group.
        low: Where the band begins that 99 of 100 such shares fall in, were the promise kept exactly and each scan
            independent of all others.
        high: Where it ends.
    """

    name: str
    score: Score
    low: float
    high: float

    @property
    def within(self) -> bool:
        """Whether the share lies in the band; False too where there is no scan."""
        return self.score.value is not None and self.low <= self.score.value <= self.high

    def to_json(self) -> dict[str, Any]:
        """Write it in plain types."""
        return {**self.score.to_json(), "band": [self.low, self.high], "within_band": self.within}


@dataclass(frozen=True, slots=True, eq=False)
class PredictionSetQuality:
    """What prediction sets are worth on one test set.

    Attributes:
        promised: How often a set is to hold the true class.
        classes: How often it did, for each class.
        size: The mean number of classes in a set.
        singles: The share of sets of one class.
        empty: The share of sets of none.
    """

    promised: float
    classes: tuple[CoverageRate, ...]
    size: Score
    singles: float
    empty: float

    def to_json(self) -> dict[str, Any]:
        """Write it in plain types."""
        return {
            "promised": self.promised,
            "per_class": {row.name: row.to_json() for row in self.classes},
            "mean_size": self.size.to_json(),
            "share_of_one_class": self.singles,
            "share_empty": self.empty,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Abstention:
    """What a model leaves to a person, and how good it is on the rest.

    Attributes:
        referred: The share of scans left to a person.
        reasons: How many scans were, for each reason.
        verdicts: The share of right verdicts, tumour or no tumour, among the others.
        curve: How the errors fall as more doubtful scans are left out.
        sets: What the prediction sets are worth; None where there are none.
    """

    referred: Score
    reasons: dict[str, int]
    verdicts: Score
    curve: RiskCoverage
    sets: PredictionSetQuality | None

    def to_json(self) -> dict[str, Any]:
        """Write it in plain types."""
        return {
            "referred": self.referred.to_json(),
            "reasons": self.reasons,
            "right_verdicts_of_the_rest": self.verdicts.to_json(),
            "risk_coverage": self.curve.to_json(),
            "prediction_sets": None if self.sets is None else self.sets.to_json(),
        }

    def summary_lines(self) -> tuple[str, ...]:
        """Say the headline numbers, each with its interval, a line each."""
        reviewed = self.curve.reviewed[0.1]
        lines = [
            f"referred to a person: {self.referred.text}; right verdicts on the rest: {self.verdicts.text}",
            (
                f"accuracy once a person takes the most doubtful tenth: {reviewed.text} (n = {reviewed.n}); "
                f"area under risk-coverage {self.curve.area:.4f}, {self.curve.excess:.4f} above the best order"
            ),
        ]
        if self.sets is not None:
            held = ", ".join(f"{row.name} {row.score.text}" for row in self.sets.classes)
            lines.append(f"prediction sets at {self.sets.promised:.0%} hold: {held}; mean size {self.sets.size.text}")
        return tuple(lines)


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Probabilities beside the truth, as far as abstaining is concerned.

    Attributes:
        labels: True classes ``(n,)``.
        groups: The group of each scan ``(n,)``.
        probabilities: The model's ``(n, k)``.
        label_set: The classes.
        threshold: P(tumour) from which a scan is called a tumour.
    """

    labels: Labels
    groups: Groups
    probabilities: Probabilities
    label_set: LabelSet
    threshold: float


def measure_abstention(answers: Answers, caution: AbstentionInputs, resampling: Resampling) -> Abstention:
    """Measure what is left to a person, and the rest.

    Args:
        answers: Probabilities beside the truth; at least one scan.
        caution: What was said about each scan besides.
        resampling: The draws of the groups.
    """
    labels, groups, level = answers.labels, answers.groups, resampling.level
    right = answers.probabilities.argmax(axis=1) == labels
    healthy = answers.label_set.healthy_index
    called = 1.0 - answers.probabilities[:, healthy] >= answers.threshold
    kept = ~caution.referred
    return Abstention(
        referred=proportion("referred", caution.referred, groups, level),
        reasons=dict(sorted(Counter(code for codes in caution.reasons for code in codes).items())),
        verdicts=proportion("right_verdicts", (called == (labels != healthy))[kept], groups[kept], level),
        curve=risk_coverage(caution.uncertainty, right, groups, level),
        sets=_quality(answers, caution, resampling),
    )


def _quality(answers: Answers, caution: AbstentionInputs, resampling: Resampling) -> PredictionSetQuality | None:
    sets, promised = caution.prediction_sets, caution.coverage
    if sets is None or promised is None:
        return None
    sizes = sets.sum(axis=1)
    parts = np.column_stack([sizes, np.ones(len(sizes))]).astype(float)
    interval = clustered_bootstrap(lambda sums: sums[:, 0] / sums[:, 1], parts, resampling)
    note = "" if interval else "no interval: drawing groups again never changes the value"
    size = Score("mean_set_size", float(sizes.mean()), interval, len(sizes), resampling.groups, note)
    return PredictionSetQuality(
        promised=promised,
        classes=_covered(answers, sets, promised, resampling.level),
        size=size,
        singles=float((sizes == 1).mean()),
        empty=float((sizes == 0).mean()),
    )


def _covered(
    answers: Answers, sets: Bool[np.ndarray, "n k"], promised: float, level: float
) -> tuple[CoverageRate, ...]:
    rows = []
    for place, name in enumerate(answers.label_set.names):
        own = answers.labels == place
        score = proportion(name, sets[own, place], answers.groups[own], level)
        rows.append(CoverageRate(name, score, *_band(score.n, promised)))
    return tuple(rows)


def _band(n: int, promised: float) -> Sequence[float]:
    if n == 0:
        return (0.0, 1.0)
    return [float(end) / n for end in binom.interval(_BAND, n, promised)]
