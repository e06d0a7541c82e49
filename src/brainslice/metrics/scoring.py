"""Every score of one set of probabilities, each with its interval, n and number of groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from brainslice.arrays import Decisions, Groups, Labels, Probabilities
from brainslice.labels import LabelSet
from brainslice.metrics import calibration
from brainslice.metrics.classification import (
    Confusion,
    accuracy_of_each,
    balanced_accuracy_of_each,
    confusion,
    macro_f1_of_each,
)
from brainslice.metrics.intervals.asymptotic import Interval, clustered_wilson, delong
from brainslice.metrics.intervals.bins import maximum_gap
from brainslice.metrics.intervals.bootstrap import Resampling, clustered_bootstrap, inverted_bootstrap

TITLES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "balanced_accuracy": "balanced accuracy",
    "tumour_auc": "AUC of P(tumour)",
    "sensitivity": "sensitivity (tumour)",
    "specificity": "specificity (tumour)",
    "ece": "ECE",
    "mce": "MCE",
    "brier": "Brier score",
    "nll": "negative log-likelihood",
    "classwise_ece": "class-wise ECE",
}
"""What the scores are called where people read them."""

_NO_SPREAD = "no interval: drawing groups again never changes the value"
_NO_AREA_SPREAD = "no interval: the ranking is without fault, or one kind comes from one group only"


@dataclass(frozen=True, slots=True)
class Score:
    """One number about a model, and how far to believe it.

    Attributes:
        name: What is measured.
        value: The number; None where the scans do not define it.
        interval: Where the truth lies; None where that cannot be said.
        n: Scans behind the number.
        groups: Groups these scans come from.
        note: Why the value or the interval is missing; empty where both are there.
    """

    name: str
    value: float | None
    interval: Interval | None
    n: int
    groups: int
    note: str = ""

    @property
    def text(self) -> str:
        """Spell value and interval to three digits."""
        if self.value is None:
            return "undefined"
        bounds = f"[{self.interval.low:.3f}, {self.interval.high:.3f}]" if self.interval else "[no interval]"
        return f"{self.value:.3f} {bounds}"

    def to_json(self) -> dict[str, Any]:
        """Write the score in plain types."""
        return {
            "value": self.value,
            "interval": None if self.interval is None else self.interval.to_json(),
            "n": self.n,
            "groups": self.groups,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True, eq=False)
class ScoringInputs:
    """Probabilities beside the truth, and the draws that bound what is said about them.

    Attributes:
        labels: True classes ``(n,)``.
        probabilities: ``(n, k)``, rows that sum to one.
        groups: The group of each scan ``(n,)``.
        label_set: The classes in the order of the probabilities.
        resampling: The draws of these groups.
    """

    labels: Labels
    probabilities: Probabilities
    groups: Groups
    label_set: LabelSet
    resampling: Resampling

    @property
    def predictions(self) -> Labels:
        """The likeliest class of each scan ``(n,)``."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def confusion(self) -> Confusion:
        """Counts ``(k, k)``, true classes in rows."""
        return confusion(self.labels, self.predictions, len(self.label_set))

    def score(self, name: str, value: float, interval: Interval | None) -> Score:
        """Wrap a number about all scans."""
        note = "" if interval is not None else _NO_SPREAD
        return Score(name, value, interval, len(self.labels), self.resampling.groups, note)


def decision_scores(judged: ScoringInputs) -> tuple[Score, ...]:
    """Score the likeliest class: accuracy, macro F1 and balanced accuracy."""
    k = len(judged.label_set)
    cells = np.eye(k * k)[judged.labels * k + judged.predictions]
    matrix = judged.confusion[None]

    def bootstrapped(name: str, measure: Callable[[np.ndarray], np.ndarray]) -> Score:
        interval = clustered_bootstrap(lambda sums: measure(sums.reshape(-1, k, k)), cells, judged.resampling)
        return judged.score(name, float(measure(matrix)[0]), interval)

    right = judged.predictions == judged.labels
    bounds = clustered_wilson(right, judged.groups, judged.resampling.level)
    return (
        judged.score("accuracy", float(accuracy_of_each(matrix)[0]), bounds),
        bootstrapped("macro_f1", macro_f1_of_each),
        bootstrapped("balanced_accuracy", balanced_accuracy_of_each),
    )


def tumour_scores(judged: ScoringInputs, threshold: float) -> tuple[Score, ...]:
    """Score tumour against healthy: the area under the ROC curve, sensitivity and specificity.

    Args:
        judged: The probabilities beside the truth.
        threshold: A scan is called a tumour where P(tumour) is at least this.
    """
    healthy = judged.label_set.healthy_index
    chance = 1 - judged.probabilities[:, healthy]
    tumour = judged.labels != healthy
    called = chance >= threshold
    return (
        _area(judged, tumour, chance),
        proportion("sensitivity", called[tumour], judged.groups[tumour], judged.resampling.level),
        proportion("specificity", ~called[~tumour], judged.groups[~tumour], judged.resampling.level),
    )


def calibration_scores(judged: ScoringInputs, bins: int) -> tuple[Score, ...]:
    """Score the probabilities themselves: ECE, MCE, Brier score, likelihood and class-wise ECE."""
    probabilities, labels, resampling = judged.probabilities, judged.labels, judged.resampling
    binned = calibration.bin_by_confidence(probabilities, labels, bins)
    gaps = calibration.confidence_gaps(probabilities, labels, bins)
    cells = calibration.classwise_gaps(probabilities, labels, bins)
    widest = maximum_gap(probabilities, labels, judged.groups, bins, resampling.level)
    return (
        judged.score("ece", calibration.expected_calibration_error(binned), inverted_bootstrap(gaps, resampling)),
        judged.score("mce", calibration.maximum_calibration_error(binned), widest),
        _mean(judged, "brier", calibration.squared_errors(probabilities, labels)),
        _mean(judged, "nll", calibration.log_losses(probabilities, labels)),
        judged.score(
            "classwise_ece",
            calibration.classwise_calibration_error(probabilities, labels, bins),
            inverted_bootstrap(cells, resampling, scale=1 / len(judged.label_set)),
        ),
    )


def proportion(name: str, successes: Decisions, groups: Groups, level: float) -> Score:
    """Score a share of scans; without scans it has neither value nor interval."""
    if len(successes) == 0:
        return Score(name, None, None, 0, 0, "undefined: there is no scan to count")
    bounds = clustered_wilson(successes, groups, level)
    return Score(name, float(successes.mean()), bounds, len(successes), len(np.unique(groups)))


def _mean(judged: ScoringInputs, name: str, losses: np.ndarray) -> Score:
    parts = np.column_stack([losses, np.ones(len(losses))])
    interval = clustered_bootstrap(lambda sums: sums[:, 0] / sums[:, 1], parts, judged.resampling)
    return judged.score(name, float(losses.mean()), interval)


def _area(judged: ScoringInputs, tumour: Decisions, chance: np.ndarray) -> Score:
    n, groups = len(tumour), judged.resampling.groups
    if tumour.all() or not tumour.any():
        return Score("tumour_auc", None, None, n, groups, "undefined: it needs tumours and healthy scans")
    area, interval = delong(tumour, chance, judged.groups, judged.resampling.level)
    return Score("tumour_auc", area, interval, n, groups, "" if interval else _NO_AREA_SPREAD)
