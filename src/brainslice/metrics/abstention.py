"""Abstention: referral rate, coverage of prediction sets, and accuracy on the answered scans."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binom

from brainslice.array_types import Bool, Float
from brainslice.arrays import Decisions, Groups, Labels, Probabilities, Scores
from brainslice.errors import UsageError
from brainslice.labels import LabelSet
from brainslice.metrics.bootstrap import Resampling
from brainslice.metrics.intervals import LEVEL
from brainslice.metrics.scoring import Score, mean_score, proportion

BUDGETS = (0.05, 0.1, 0.2)
"""The shares of referred scans at which the accuracy on the rest is reported."""

# A tenth of thirty scans is three, despite rounding of 0.1.
_ROUNDING = 1e-9
_BAND = 0.99


@dataclass(frozen=True, slots=True, eq=False)
class AbstentionInputs:
    """Uncertainty, referral reasons and prediction set of each scan.

    Attributes:
        uncertainty: The uncertainty of each prediction ``(n,)``.
        reasons: For each scan the codes of the reasons for referral; empty if it is not referred.
        prediction_sets: Whether each class is in the prediction set ``(n, k)``; None if the bundle makes none.
        coverage: The nominal coverage of the sets; None likewise.
    """

    uncertainty: Scores
    reasons: tuple[tuple[str, ...], ...]
    prediction_sets: Bool[np.ndarray, "n k"] | None = None
    coverage: float | None = None

    @property
    def referred(self) -> Decisions:
        """Whether each scan is referred for review ``(n,)``."""
        return np.array([bool(reasons) for reasons in self.reasons])

    @classmethod
    def join(cls, parts: Sequence[AbstentionInputs]) -> AbstentionInputs:
        """Concatenate the inputs of one or more sets of scans, all with prediction sets or all without."""
        sets = [part.prediction_sets for part in parts if part.prediction_sets is not None]
        return cls(
            uncertainty=np.concatenate([part.uncertainty for part in parts]),
            reasons=tuple(reasons for part in parts for reasons in part.reasons),
            prediction_sets=np.concatenate(sets) if sets else None,
            coverage=parts[0].coverage,
        )


@dataclass(frozen=True, slots=True, eq=False)
class RiskCoverage:
    """Error rate on the scans with the lowest uncertainty.

    Attributes:
        coverage: The shares of scans answered ``(n,)``, from one scan to all.
        risk: The error rate among them ``(n,)``.
        area: The mean of ``risk``: the area under the curve.
        excess: The area above that of a perfect ordering.
        reviewed: For each of ``BUDGETS`` the accuracy on the scans that are not referred.
    """

    coverage: Float[np.ndarray, " n"]
    risk: Float[np.ndarray, " n"]
    area: float
    excess: float
    reviewed: dict[float, Score]

    def to_json(self) -> dict[str, Any]:
        """Return areas and accuracies as plain types, and the curve at 101 shares."""
        grid = np.unique(np.ceil(np.linspace(0.0, 1.0, 101) * len(self.risk)).astype(int).clip(1) - 1)
        return {
            "area": self.area,
            "excess_area": self.excess,
            "accuracy_after_review": {f"{budget:g}": score.to_json() for budget, score in self.reviewed.items()},
            "curve": {"coverage": self.coverage[grid].tolist(), "risk": self.risk[grid].tolist()},
        }


def risk_coverage(uncertainty: Scores, correct: Decisions, groups: Groups, level: float = LEVEL) -> RiskCoverage:
    """Compute the error rate as the scans with the highest uncertainty are left out.

    Raises:
        UsageError: There is no scan.

    Reference:
        Geifman and El-Yaniv, Selective Classification for Deep Neural Networks, NeurIPS 2017; Geifman et al.,
        Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers, ICLR 2019, for area and excess.
    """
    if len(correct) == 0:
        msg = "a risk-coverage curve needs at least one scan, got none"
        raise UsageError(msg)
    answered = np.arange(1, len(correct) + 1)
    risk = _cumulative_errors(uncertainty, correct) / answered
    best = np.maximum(answered - correct.sum(), 0) / answered
    order = np.argsort(-uncertainty, kind="stable")
    reviewed = {}
    for budget in BUDGETS:
        rest = order[math.ceil(budget * len(correct) - _ROUNDING) :]
        reviewed[budget] = proportion("accuracy", correct[rest], groups[rest], level)
    area = float(risk.mean())
    return RiskCoverage(answered / len(correct), risk, area, area - float(best.mean()), reviewed)


def _cumulative_errors(uncertainty: Scores, correct: Decisions) -> Scores:
    """Count the errors up to each scan in order of uncertainty, averaged over the orders of ties."""
    levels, members = np.unique(uncertainty, return_inverse=True)
    errors = np.bincount(members, weights=~correct, minlength=len(levels)) / np.bincount(members)
    return np.asarray(np.cumsum(errors[np.sort(members)]))


@dataclass(frozen=True, slots=True)
class CoverageRate:
    """The coverage of one class by the prediction sets of its scans.

    Attributes:
        name: The class.
        score: The coverage, with its interval by group.
        low: The lower end of the band that holds 99 of 100 such shares at nominal coverage and independent scans.
        high: The upper end of the band.
    """

    name: str
    score: Score
    low: float
    high: float

    @property
    def within(self) -> bool:
        """Whether the share lies in the band; False without scans."""
        return self.score.value is not None and self.low <= self.score.value <= self.high

    def to_json(self) -> dict[str, Any]:
        """Return it as plain types."""
        return {**self.score.to_json(), "band": [self.low, self.high], "within_band": self.within}


@dataclass(frozen=True, slots=True, eq=False)
class PredictionSetQuality:
    """Coverage and size of prediction sets on one test set.

    Attributes:
        promised: The nominal coverage.
        classes: The coverage of each class.
        size: The mean number of classes in a set.
        singles: The share of sets of one class.
        empty: The share of empty sets.
    """

    promised: float
    classes: tuple[CoverageRate, ...]
    size: Score
    singles: float
    empty: float

    def to_json(self) -> dict[str, Any]:
        """Return it as plain types."""
        return {
            "promised": self.promised,
            "per_class": {row.name: row.to_json() for row in self.classes},
            "mean_size": self.size.to_json(),
            "share_of_one_class": self.singles,
            "share_empty": self.empty,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Abstention:
    """Referral for review and accuracy on the answered scans.

    Attributes:
        referred: The share of scans referred for review.
        reasons: The number of referred scans for each reason.
        verdicts: The share of correct verdicts, tumour or no tumour, among the others.
        curve: The risk-coverage curve.
        sets: The quality of the prediction sets; None without sets.
    """

    referred: Score
    reasons: dict[str, int]
    verdicts: Score
    curve: RiskCoverage
    sets: PredictionSetQuality | None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain types."""
        return {
            "referred": self.referred.to_json(),
            "reasons": self.reasons,
            "right_verdicts_of_the_rest": self.verdicts.to_json(),
            "risk_coverage": self.curve.to_json(),
            "prediction_sets": None if self.sets is None else self.sets.to_json(),
        }

    def summary_lines(self) -> tuple[str, ...]:
        """Describe the main metrics with intervals, a line each."""
        reviewed = self.curve.reviewed[0.1]
        lines = [
            f"referred for review: {self.referred.text}; correct verdicts on the rest: {self.verdicts.text}",
            (
                f"accuracy without the tenth of highest uncertainty: {reviewed.text} (n = {reviewed.n}); "
                f"area under risk-coverage {self.curve.area:.4f}, {self.curve.excess:.4f} above the best ordering"
            ),
        ]
        if self.sets is not None:
            coverage = ", ".join(f"{row.name} {row.score.text}" for row in self.sets.classes)
            size = self.sets.size.text
            lines.append(f"coverage of {self.sets.promised:.0%} prediction sets: {coverage}; mean size {size}")
        return tuple(lines)


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Probabilities and truth of each scan.

    Attributes:
        labels: True classes ``(n,)``.
        groups: The group of each scan ``(n,)``.
        probabilities: The model's ``(n, k)``.
        label_set: The classes.
        threshold: P(tumour) from which a scan is predicted as a tumour.
    """

    labels: Labels
    groups: Groups
    probabilities: Probabilities
    label_set: LabelSet
    threshold: float


def measure_abstention(answers: Answers, inputs: AbstentionInputs, resampling: Resampling) -> Abstention:
    """Measure referral, accuracy on the answered scans, and prediction sets."""
    labels, groups, level = answers.labels, answers.groups, resampling.level
    correct = answers.probabilities.argmax(axis=1) == labels
    right = correct
    if answers.label_set.healthy is not None:
        healthy = answers.label_set.healthy_index
        predicted = 1.0 - answers.probabilities[:, healthy] >= answers.threshold
        right = predicted == (labels != healthy)
    kept = ~inputs.referred
    return Abstention(
        referred=proportion("referred", inputs.referred, groups, level),
        reasons=dict(sorted(Counter(code for codes in inputs.reasons for code in codes).items())),
        verdicts=proportion("right_verdicts", right[kept], groups[kept], level),
        curve=risk_coverage(inputs.uncertainty, correct, groups, level),
        sets=_quality(answers, inputs, resampling),
    )


def _quality(answers: Answers, inputs: AbstentionInputs, resampling: Resampling) -> PredictionSetQuality | None:
    sets, promised = inputs.prediction_sets, inputs.coverage
    if sets is None or promised is None:
        return None
    sizes = sets.sum(axis=1)
    return PredictionSetQuality(
        promised=promised,
        classes=_coverage(answers, sets, promised, resampling.level),
        size=mean_score("mean_set_size", sizes.astype(np.float64), resampling),
        singles=float((sizes == 1).mean()),
        empty=float((sizes == 0).mean()),
    )


def _coverage(
    answers: Answers, sets: Bool[np.ndarray, "n k"], promised: float, level: float
) -> tuple[CoverageRate, ...]:
    rows = []
    for index, name in enumerate(answers.label_set.names):
        own = answers.labels == index
        score = proportion(name, sets[own, index], answers.groups[own], level)
        rows.append(CoverageRate(name, score, *_band(score.n, promised)))
    return tuple(rows)


def _band(n: int, promised: float) -> Sequence[float]:
    if n == 0:
        return (0.0, 1.0)
    return [float(end) / n for end in binom.interval(_BAND, n, promised)]
