"""Everything that is said about one model on one test set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from brainslice.arrays import Groups, Labels, Probabilities
from brainslice.errors import UsageError
from brainslice.labels import LabelSet
from brainslice.measure.bin_intervals import accuracy_in_bins
from brainslice.measure.bootstrap import DRAWS, Resampling, resample
from brainslice.measure.compare import McNemar, mcnemar
from brainslice.measure.intervals import LEVEL, Interval
from brainslice.measure.one_vs_rest import ClassCurves, trace_curves
from brainslice.measure.per_class import ClassRow, class_rows
from brainslice.measure.reliability import BINS, Bins, bin_by_confidence
from brainslice.measure.scores import Confusion
from brainslice.measure.scoring import Judged, Score, calibration_scores, decision_scores, tumour_scores


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms on which a model is judged; every document and figure repeats them.

    Attributes:
        label_set: The classes in the order of the probabilities.
        dataset: The name of the data.
        protocol: How they were split, as "clean" or "official".
        split: Which part is judged on.
        marks: Warnings that no reader may miss: "leaky", "phantom".
        temperature: What the logits were divided by, for the record.
        threshold: P(tumour) from which a scan is called a tumour.
        bins: How many confidence bins of equal width.
        seed: The seed of the bootstrap.
        draws: How often groups are drawn again.
        level: How often an interval is to hold the truth.
    """

    label_set: LabelSet
    dataset: str
    protocol: str
    split: str = "test"
    marks: tuple[str, ...] = ()
    temperature: float = 1.0
    threshold: float = 0.5
    bins: int = BINS
    seed: int = 0
    draws: int = DRAWS
    level: float = LEVEL


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What was said about each scan of a test set, beside the truth.

    Attributes:
        labels: True classes ``(n,)``.
        groups: The group of each scan ``(n,)``.
        probabilities: The model's, after its temperature ``(n, k)``.
        uncalibrated: The model's, before its temperature ``(n, k)``.
        floor: Those of the shortcut floor on the same scans ``(n, k)``, where it was fitted.
    """

    labels: Labels
    groups: Groups
    probabilities: Probabilities
    uncalibrated: Probabilities
    floor: Probabilities | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """A reliability diagram's numbers.

    Attributes:
        bins: Scans by confidence.
        accuracy: The interval of each bin's accuracy; None where the bin is empty.
    """

    bins: Bins
    accuracy: tuple[Interval | None, ...]

    def to_json(self) -> dict[str, Any]:
        """Write the bins in plain types; an empty bin has neither accuracy nor confidence."""
        counts = self.bins.counts.tolist()
        filled = [max(count, 1) for count in counts]
        means = zip(counts, self.bins.confidence.tolist(), self.bins.correct.tolist(), filled, strict=True)
        rows = [(sure / size, right / size) if count else (None, None) for count, sure, right, size in means]
        return {
            "counts": counts,
            "confidence": [confidence for confidence, _ in rows],
            "accuracy": [accuracy for _, accuracy in rows],
            "accuracy_intervals": [interval and interval.to_json() for interval in self.accuracy],
        }


@dataclass(frozen=True, slots=True, eq=False)
class FloorComparison:
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


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Everything that is said about one model on one test set.

    Attributes:
        terms: The terms on which it was judged.
        n: Scans.
        groups: Groups they come from.
        scores: All scores, after the temperature.
        before: The calibration scores before it.
        classes: Each class by itself.
        confusion: Counts ``(k, k)``, true classes in rows.
        reliability: The reliability diagram after the temperature.
        reliability_before: The same before it.
        curves: ROC and precision-recall curves of each class that some, but not all scans have.
        floor: The shortcut floor on the same scans, where it was fitted.
    """

    terms: Terms
    n: int
    groups: int
    scores: tuple[Score, ...]
    before: tuple[Score, ...]
    classes: tuple[ClassRow, ...]
    confusion: Confusion
    reliability: Reliability
    reliability_before: Reliability
    curves: tuple[ClassCurves, ...]
    floor: FloorComparison | None

    def score(self, name: str) -> Score:
        """Find a score, after the temperature, by its name.

        Raises:
            UsageError: There is no such score.
        """
        found = {score.name: score for score in self.scores}
        if name not in found:
            msg = f"score must be one of {list(found)}, got {name!r}"
            raise UsageError(msg)
        return found[name]

    def to_json(self) -> dict[str, Any]:
        """Write everything in plain types, in a fixed order, with None for what is undefined."""
        terms = self.terms
        return {
            "dataset": terms.dataset,
            "protocol": terms.protocol,
            "split": terms.split,
            "marks": list(terms.marks),
            "n": self.n,
            "groups": self.groups,
            "classes": list(terms.label_set.names),
            "healthy": terms.label_set.healthy,
            "temperature": terms.temperature,
            "threshold": terms.threshold,
            "bins": terms.bins,
            "resampling": {"seed": terms.seed, "draws": terms.draws, "level": terms.level},
            "scores": {score.name: score.to_json() for score in self.scores},
            "before_temperature": {score.name: score.to_json() for score in self.before},
            "per_class": {row.name: row.to_json() for row in self.classes},
            "confusion": self.confusion.tolist(),
            "reliability": {
                "before": self.reliability_before.to_json(),
                "after": self.reliability.to_json(),
            },
            "curves": {curve.name: curve.to_json() for curve in self.curves},
            "floor": None if self.floor is None else self.floor.to_json(),
        }


def evaluate(scored: Scored, terms: Terms) -> Evaluation:
    """Judge a model on a test set: every score with its interval, and the floor beside it.

    Args:
        scored: What was said about each scan, beside the truth.
        terms: The terms on which to judge.

    Raises:
        UsageError: There is no scan, a class is unknown, or the rows are no probabilities.
    """
    if len(scored.labels) == 0:
        msg = f"a model can be judged on at least one scan, got none in the {terms.split} part"
        raise UsageError(msg)
    resampling = resample(scored.groups, terms.seed, terms.draws, terms.level)
    after = _judged(scored, scored.probabilities, terms, resampling)
    before = _judged(scored, scored.uncalibrated, terms, resampling)
    decisions = (*decision_scores(after), *tumour_scores(after, terms.threshold))
    return Evaluation(
        terms=terms,
        n=len(scored.labels),
        groups=resampling.groups,
        scores=(*decisions, *calibration_scores(after, terms.bins)),
        before=calibration_scores(before, terms.bins),
        classes=class_rows(after),
        confusion=after.confusion,
        reliability=_reliability(after, terms),
        reliability_before=_reliability(before, terms),
        curves=trace_curves(after),
        floor=_compared_with_floor(scored, after, terms),
    )


def _judged(scored: Scored, probabilities: Probabilities, terms: Terms, resampling: Resampling) -> Judged:
    return Judged(scored.labels, probabilities, scored.groups, terms.label_set, resampling)


def _reliability(judged: Judged, terms: Terms) -> Reliability:
    binned = bin_by_confidence(judged.probabilities, judged.labels, terms.bins)
    bounds = accuracy_in_bins(judged.probabilities, judged.labels, judged.groups, terms.bins, judged.resampling.level)
    return Reliability(binned, bounds)


def _compared_with_floor(scored: Scored, model: Judged, terms: Terms) -> FloorComparison | None:
    if scored.floor is None:
        return None
    floor = _judged(scored, scored.floor, terms, model.resampling)
    right, floor_right = (np.equal(judged.predictions, judged.labels) for judged in (model, floor))
    return FloorComparison(
        predictions=floor.predictions,
        scores=(*decision_scores(floor), *tumour_scores(floor, terms.threshold)),
        test=mcnemar(right, floor_right, scored.groups),
    )
