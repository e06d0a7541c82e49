"""Scores of one set of probabilities, each with interval, n and number of groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from brainslice.arrays import Decisions, Groups, Labels, Probabilities, Scores
from brainslice.labels import LabelSet
from brainslice.metrics import calibration
from brainslice.metrics.bootstrap import Resampling, clustered_bootstrap, inverted_bootstrap
from brainslice.metrics.classification import (
    Confusion,
    accuracy_of_each,
    balanced_accuracy_of_each,
    confusion,
    macro_f1_of_each,
)
from brainslice.metrics.curves.ranking import delong
from brainslice.metrics.intervals import LEVEL, Interval, clustered_wilson

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
"""The titles of the scores."""

_CONSTANT = "no interval: all bootstrap draws give the same value"
_NO_AREA_INTERVAL = "no interval: perfect ranking, or all scans of one class are in one group"


@dataclass(frozen=True, slots=True)
class Score:
    """The value of a metric with its interval.

    Attributes:
        name: The metric.
        value: None if undefined on these scans.
        interval: None if it cannot be computed.
        n: The number of scans.
        groups: The number of groups these scans come from.
        note: Why the value or the interval is missing; empty if both are there.
    """

    name: str
    value: float | None
    interval: Interval | None
    n: int
    groups: int
    note: str = ""

    @property
    def text(self) -> str:
        """Format value and interval with three decimals."""
        if self.value is None:
            return "undefined"
        bounds = f"[{self.interval.low:.3f}, {self.interval.high:.3f}]" if self.interval else "[no interval]"
        return f"{self.value:.3f} {bounds}"

    def to_json(self) -> dict[str, Any]:
        """Return the score as plain types."""
        return {name: value for name, value in asdict(self).items() if name != "name"}


@dataclass(frozen=True, slots=True, eq=False)
class ScoringInputs:
    """Probabilities, true classes and bootstrap draws.

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
        """The predicted class of each scan ``(n,)``."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def confusion(self) -> Confusion:
        """Counts ``(k, k)``, true classes in rows."""
        return confusion(self.labels, self.predictions, len(self.label_set))

    def score(self, name: str, value: float, interval: Interval | None) -> Score:
        """Make the score of a metric of all scans."""
        note = "" if interval is not None else _CONSTANT
        return Score(name, value, interval, len(self.labels), self.resampling.groups, note)


def proportion(name: str, successes: Decisions, groups: Groups, level: float) -> Score:
    """Score a share of scans with Wilson's interval by group; undefined without scans."""
    if len(successes) == 0:
        return Score(name, None, None, 0, 0, "undefined: there is no scan to count")
    bounds = clustered_wilson(successes, groups, level)
    return Score(name, float(successes.mean()), bounds, len(successes), len(np.unique(groups)))


def mean_score(name: str, values: Scores, resampling: Resampling, n: int | None = None) -> Score:
    """Score a mean of values ``(n,)`` with a bootstrap interval; ``n`` scans are behind them, if not one for each."""
    parts = np.column_stack([values, np.ones(len(values))])
    interval = clustered_bootstrap(lambda sums: sums[:, 0] / sums[:, 1], parts, resampling)
    count = len(values) if n is None else n
    return Score(name, float(np.mean(values)), interval, count, resampling.groups, "" if interval else _CONSTANT)


def auc_score(name: str, tumour: Decisions, scores: Scores, groups: Groups, level: float = LEVEL) -> Score:
    """Score the area under the ROC curve with DeLong's interval by group; undefined unless both classes occur."""
    n, count = len(tumour), len(np.unique(groups))
    if tumour.all() or not tumour.any():
        return Score(name, None, None, n, count, "undefined: it needs scans with and without tumour")
    area, interval = delong(tumour, scores, groups, level)
    return Score(name, area, interval, n, count, "" if interval else _NO_AREA_INTERVAL)


def decision_scores(inputs: ScoringInputs) -> tuple[Score, ...]:
    """Score the predicted classes: accuracy, macro F1 and balanced accuracy."""
    k = len(inputs.label_set)
    cells = np.eye(k * k)[inputs.labels * k + inputs.predictions]
    matrix = inputs.confusion[None]

    def bootstrapped(name: str, measure: Callable[[np.ndarray], np.ndarray]) -> Score:
        interval = clustered_bootstrap(lambda sums: measure(sums.reshape(-1, k, k)), cells, inputs.resampling)
        return inputs.score(name, float(measure(matrix)[0]), interval)

    correct = inputs.predictions == inputs.labels
    bounds = clustered_wilson(correct, inputs.groups, inputs.resampling.level)
    return (
        inputs.score("accuracy", float(accuracy_of_each(matrix)[0]), bounds),
        bootstrapped("macro_f1", macro_f1_of_each),
        bootstrapped("balanced_accuracy", balanced_accuracy_of_each),
    )


def tumour_scores(inputs: ScoringInputs, threshold: float) -> tuple[Score, ...]:
    """Score tumour against healthy: AUC, sensitivity and specificity; undefined if no class is healthy."""
    if inputs.label_set.healthy is None:
        names = ("tumour_auc", "sensitivity", "specificity")
        return tuple(Score(name, None, None, 0, 0, "undefined: no class is healthy") for name in names)
    healthy, level = inputs.label_set.healthy_index, inputs.resampling.level
    scores = 1 - inputs.probabilities[:, healthy]
    tumour = inputs.labels != healthy
    predicted = scores >= threshold
    return (
        auc_score("tumour_auc", tumour, scores, inputs.groups, level),
        proportion("sensitivity", predicted[tumour], inputs.groups[tumour], level),
        proportion("specificity", ~predicted[~tumour], inputs.groups[~tumour], level),
    )


def calibration_scores(inputs: ScoringInputs, bins: int) -> tuple[Score, ...]:
    """Score the probabilities: ECE, MCE, Brier score, negative log-likelihood and class-wise ECE."""
    probabilities, labels, resampling = inputs.probabilities, inputs.labels, inputs.resampling
    binned = calibration.bin_by_confidence(probabilities, labels, bins)
    gaps = calibration.confidence_gaps(probabilities, labels, bins)
    cells = calibration.classwise_gaps(probabilities, labels, bins)
    maximum = calibration.maximum_gap(probabilities, labels, inputs.groups, bins, resampling.level)
    return (
        inputs.score("ece", calibration.expected_calibration_error(binned), inverted_bootstrap(gaps, resampling)),
        inputs.score("mce", calibration.maximum_calibration_error(binned), maximum),
        mean_score("brier", calibration.squared_errors(probabilities, labels), resampling),
        mean_score("nll", calibration.log_losses(probabilities, labels), resampling),
        inputs.score(
            "classwise_ece",
            calibration.classwise_calibration_error(probabilities, labels, bins),
            inverted_bootstrap(cells, resampling, scale=1 / len(inputs.label_set)),
        ),
    )


@dataclass(frozen=True, slots=True)
class ClassRow:
    """The scores of one class.

    Attributes:
        name: The class.
        precision: The share of this class among the scans predicted as it.
        recall: The share of the scans of this class predicted as it.
        f1: Their harmonic mean.
        support: The number of scans of this class.
    """

    name: str
    precision: Score
    recall: Score
    f1: Score
    support: int

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain types."""
        scores = {score.name: score.to_json() for score in (self.precision, self.recall, self.f1)}
        return {**scores, "support": self.support}


def class_rows(inputs: ScoringInputs) -> tuple[ClassRow, ...]:
    """Score each class, in the order of the classes."""
    rows = []
    groups, level = inputs.groups, inputs.resampling.level
    for index, name in enumerate(inputs.label_set.names):
        true, predicted = inputs.labels == index, inputs.predictions == index
        rows.append(
            ClassRow(
                name=name,
                precision=proportion("precision", true[predicted], groups[predicted], level),
                recall=proportion("recall", predicted[true], groups[true], level),
                f1=_f1(inputs, true, predicted),
                support=int(true.sum()),
            )
        )
    return tuple(rows)


def _f1(inputs: ScoringInputs, true: Decisions, predicted: Decisions) -> Score:
    either = true | predicted
    if not either.any():
        return Score("f1", None, None, 0, 0, "undefined: the class neither occurs nor is predicted")
    parts = np.column_stack([2 * (true & predicted), true.astype(int) + predicted])
    interval = clustered_bootstrap(_ratios, parts, inputs.resampling)
    value = float(_ratios(parts.sum(axis=0, keepdims=True))[0])
    groups = len(np.unique(inputs.groups[either]))
    return Score("f1", value, interval, int(either.sum()), groups, "" if interval else _CONSTANT)


def _ratios(sums: np.ndarray) -> np.ndarray:
    above, below = sums[:, 0].astype(float), sums[:, 1]
    return np.asarray(np.divide(above, below, out=np.full(len(sums), np.nan), where=below > 0))
