"""Misclassified test scans, metrics by subgroup, and the bundle's operating points on the test set."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np

from brainslice.arrays import Decisions, Scores
from brainslice.dataset import NICKPARVAR, Manifest, Record, known_scan
from brainslice.decision import TARGETS, Criterion, MeasuredRate, OperatingPoint, TumourScores
from brainslice.evaluation.operating_points import rates_at
from brainslice.evaluation.scoring import ScoredTestSet
from brainslice.inference import Prediction
from brainslice.metrics import BinaryPredictions, SubgroupRow, size_bins, subgroup_rows
from brainslice.progress import Progress, silent
from brainslice.scan import read_scan

_NEAR_DUPLICATES: Final = "found-"
"""Prefix of groups that come from the search for near-duplicates."""


class MistakeKind(StrEnum):
    """Kind of error, most severe first."""

    MISSED_TUMOUR = "missed tumour"
    FALSE_ALARM = "false alarm"
    WRONG_CLASS = "wrong class"


@dataclass(frozen=True, slots=True, eq=False)
class Mistake:
    """One misclassified test scan.

    Attributes:
        path: The file, relative to the prepared set.
        source: Where it came from, relative to the set it was prepared from.
        group: Its group.
        true: Its class.
        kind: Kind of error.
        answer: The prediction, with heat map and prediction set.
    """

    path: str
    source: str
    group: str
    true: str
    kind: MistakeKind
    answer: Prediction

    @property
    def true_probability(self) -> float:
        """Predicted probability of the true class."""
        return self.answer.probabilities[self.true]

    def to_json(self) -> dict[str, Any]:
        """Return the mistake as JSON types, without images."""
        prediction = self.answer.to_json()
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
            **{name: prediction[name] for name in kept},
        }


@dataclass(frozen=True, slots=True)
class OperatingPointOnTest:
    """Rates of an operating point on the test scans, which did not choose it.

    Attributes:
        point: As stored in the bundle.
        sensitivity: On the test scans.
        specificity: On the test scans.
        holds: Whether the targeted rate is reached; None where no rate was targeted.
    """

    point: OperatingPoint
    sensitivity: MeasuredRate
    specificity: MeasuredRate
    holds: bool | None

    @property
    def summary(self) -> str:
        """The rates in one line."""
        target = {True: "; its target is reached", False: "; its target is missed", None: ""}[self.holds]
        rates = f"sensitivity {self.sensitivity.text}, specificity {self.specificity.text}"
        return f"operating point {self.point.name} on the test scans: {rates}{target}"

    def to_json(self) -> dict[str, Any]:
        """Return the rates as JSON types."""
        return {
            "name": self.point.name,
            "threshold": self.point.threshold,
            "promise": self.point.promise,
            "sensitivity": asdict(self.sensitivity),
            "specificity": asdict(self.specificity),
            "target_reached": self.holds,
        }


@dataclass(frozen=True, slots=True)
class ErrorAnalysis:
    """Errors of a model on its test set.

    Attributes:
        mistakes: Misclassified test scans, by increasing probability of the true class.
        rows: Metrics by subgroup of the test set.
        points: The bundle's operating points on the test scans.
    """

    mistakes: tuple[Mistake, ...]
    rows: tuple[SubgroupRow, ...]
    points: tuple[OperatingPointOnTest, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the counts and rows as JSON types; ``mistakes`` are written to a file of their own."""
        return {
            "errors": {"n": len(self.mistakes), **Counter(each.kind.value for each in self.mistakes)},
            "subgroups": [row.to_json() for row in self.rows],
            "operating_points": [point.to_json() for point in self.points],
        }


def analyse_errors(test_set: ScoredTestSet, progress: Progress = silent) -> ErrorAnalysis:
    """List mistakes, and compute metrics by subgroup and at the bundle's operating points.

    Raises:
        UnreadableScanError: A test scan is missing.
    """
    scored = test_set.scored
    tumour, healthy, scores = _tumours(test_set)
    correct = scored.probabilities.argmax(axis=1) == scored.labels
    predictions = BinaryPredictions(correct, tumour, scores >= test_set.predictor.threshold, scored.groups, healthy)
    level = test_set.evaluation.settings.level
    subgroups = _subgroups(test_set, progress).items()
    rows = tuple(row for name, values in subgroups for row in subgroup_rows(name, values, predictions, level))
    points: tuple[OperatingPointOnTest, ...] = ()
    if tumour.any() and not tumour.all():
        test = TumourScores(scores, tumour, scored.groups)
        points = tuple(_on_test(point, test) for point in test_set.predictor.bundle.info.operating_points)
    return ErrorAnalysis(find_mistakes(test_set, progress), rows, points)


def find_mistakes(test_set: ScoredTestSet, progress: Progress = silent) -> tuple[Mistake, ...]:
    """List the test scans with a wrong class, or on the wrong side of the threshold; this is no further access.

    Returns:
        The mistakes, by increasing probability of the true class.
    """
    scored, threshold = test_set.scored, test_set.predictor.threshold
    tumour, _, scores = _tumours(test_set)
    predicted = scores >= threshold
    wrong = np.flatnonzero((scored.probabilities.argmax(axis=1) != scored.labels) | (predicted != tumour))
    ordered = wrong[np.argsort(scored.probabilities[wrong, scored.labels[wrong]], kind="stable")]
    mistakes = []
    for index in ordered.tolist():
        record = test_set.manifest.records[test_set.split.test[index]]
        answer = test_set.predictor.predict(test_set.manifest.root / record.path)
        kind = MistakeKind.WRONG_CLASS
        if tumour[index] != predicted[index]:
            kind = MistakeKind.MISSED_TUMOUR if tumour[index] else MistakeKind.FALSE_ALARM
        mistakes.append(Mistake(record.path, record.source, record.group, record.label, kind, answer))
        progress("looking at mistakes", len(mistakes), len(ordered))
    return tuple(mistakes)


def _tumours(test_set: ScoredTestSet) -> tuple[Decisions, Decisions, Scores]:
    """Return which test scans show a tumour, which are healthy, and P(tumour); all False where no class is healthy."""
    scored, labels = test_set.scored, test_set.manifest.labels
    if labels.healthy is None:
        none = np.zeros(len(scored.labels), dtype=np.bool_)
        return none, none, np.full(len(scored.labels), -1.0)
    tumour = scored.labels != labels.healthy_index
    return tumour, ~tumour, np.asarray(1.0 - scored.probabilities[:, labels.healthy_index])


def _on_test(point: OperatingPoint, test: TumourScores) -> OperatingPointOnTest:
    sensitivity, specificity = rates_at(test, point.threshold)
    holds = None
    if point.value is not None and point.criterion in TARGETS:
        rate = sensitivity if point.criterion is Criterion.SENSITIVITY else specificity
        holds = rate.value >= point.value
    return OperatingPointOnTest(point, sensitivity, specificity, holds)


def _subgroups(test_set: ScoredTestSet, progress: Progress) -> dict[str, list[str]]:
    """Return the value of each attribute for each test scan."""
    manifest = test_set.manifest
    records = [manifest.records[row] for row in test_set.split.test.tolist()]
    shapes = []
    for record in records:
        shapes.append(read_scan(manifest.root / record.path).pixels.shape)
        progress("measuring test scans", len(shapes), len(records))
    aspects = {-1: "wider than high", 0: "square", 1: "higher than wide"}
    return {
        "class": [record.label for record in records],
        "source": [_collection(manifest, record) for record in records],
        "patient": ["known" if _patient_known(manifest, record) else "not known" for record in records],
        "longer side": size_bins([max(shape) for shape in shapes]),
        "shape": [aspects[int(np.sign(rows - columns))] for rows, columns in shapes],
    }


def _collection(manifest: Manifest, record: Record) -> str:
    """Return the collection a scan comes from: listed for the public set, else the first folder of its path."""
    if manifest.name == NICKPARVAR:
        known = known_scan(record.source)
        return "Cheng et al." if known is not None and known.mask else "other collections"
    folders = record.source.split("/")[:-1]
    return folders[0] if folders else "one folder"


def _patient_known(manifest: Manifest, record: Record) -> bool:
    if manifest.name == NICKPARVAR:
        known = known_scan(record.source)
        return known is not None and known.patient_known
    return manifest.groups_from == "table" and not record.group.startswith(_NEAR_DUPLICATES)
