"""Evaluation of one model on one test set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from brainslice.arrays import Groups, Labels, Probabilities
from brainslice.errors import UsageError
from brainslice.labels import LabelSet
from brainslice.metrics.abstention import Abstention, AbstentionInputs, Answers, measure_abstention
from brainslice.metrics.bootstrap import DRAWS, resample
from brainslice.metrics.calibration import BINS, Reliability, reliability_diagram
from brainslice.metrics.classification import Confusion
from brainslice.metrics.comparison import BaselineComparison, compare_with_baseline
from brainslice.metrics.curves.one_vs_rest import ClassCurves, trace_curves
from brainslice.metrics.intervals import LEVEL
from brainslice.metrics.scoring import (
    TITLES,
    ClassRow,
    Score,
    ScoringInputs,
    calibration_scores,
    class_rows,
    decision_scores,
    tumour_scores,
)
from brainslice.metrics.source_controlled import SourceControlled

HEADLINES = ("accuracy", "macro_f1", "balanced_accuracy", "tumour_auc", "sensitivity", "specificity", "ece")
"""The scores that are printed first."""

NO_SOURCE_CONTROL = "source-controlled test: not run, the set has no outlines; give folders of slices with --slices"
NO_HEALTHY_CLASS = "no class is healthy: there is no decision between tumour and healthy, and no source-controlled test"


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """Settings of an evaluation, repeated in every document and figure.

    Attributes:
        label_set: The classes in the order of the probabilities.
        dataset: The name of the data set.
        protocol: The split protocol, "clean" or "official".
        split: The part evaluated on.
        warnings: Warnings on the model or the data: "leaky", "phantom".
        temperature: The divisor of the logits, for the record.
        threshold: P(tumour) from which a scan is predicted as a tumour.
        bins: The number of confidence bins of equal width.
        seed: Seed of the bootstrap.
        draws: The number of bootstrap draws.
        level: The confidence level.
    """

    label_set: LabelSet
    dataset: str
    protocol: str
    split: str = "test"
    warnings: tuple[str, ...] = ()
    temperature: float = 1.0
    threshold: float = 0.5
    bins: int = BINS
    seed: int = 0
    draws: int = DRAWS
    level: float = LEVEL


@dataclass(frozen=True, slots=True, eq=False)
class ScoredSet:
    """Truth and probabilities of the scans of a test set.

    Attributes:
        labels: True classes ``(n,)``.
        groups: The group of each scan ``(n,)``.
        probabilities: The model's, after its temperature ``(n, k)``.
        uncalibrated: The model's, before its temperature ``(n, k)``.
        baseline: The baseline's on the same scans ``(n, k)``, if it was fitted.
    """

    labels: Labels
    groups: Groups
    probabilities: Probabilities
    uncalibrated: Probabilities
    baseline: Probabilities | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Results of one model on one test set.

    Attributes:
        settings: The settings of the evaluation.
        n: The number of scans.
        groups: The number of groups they come from.
        scores: All scores, after the temperature.
        scores_before: The calibration scores before it.
        classes: The scores of each class.
        confusion: Counts ``(k, k)``, true classes in rows.
        reliability: The reliability diagram after the temperature.
        reliability_before: The same before the temperature.
        curves: ROC and precision-recall curves of each class that some, but not all scans have.
        baseline: The comparison with the baseline on the same scans, if it was fitted.
        abstention: The results of abstention, if it was measured.
        source_controlled: The results on slices with and without tumour of the same source.
    """

    settings: EvaluationSettings
    n: int
    groups: int
    scores: tuple[Score, ...]
    scores_before: tuple[Score, ...]
    classes: tuple[ClassRow, ...]
    confusion: Confusion
    reliability: Reliability
    reliability_before: Reliability
    curves: tuple[ClassCurves, ...]
    baseline: BaselineComparison | None
    abstention: Abstention | None = None
    source_controlled: tuple[SourceControlled, ...] = ()

    def score(self, name: str) -> Score:
        """Return a score, after the temperature, by its name.

        Raises:
            UsageError: There is no such score.
        """
        found = {score.name: score for score in self.scores}
        if name not in found:
            msg = f"score must be one of {list(found)}, got {name!r}"
            raise UsageError(msg)
        return found[name]

    def summary_lines(self) -> tuple[str, ...]:
        """Describe the headline scores with intervals, a line each."""
        settings = self.settings
        warnings = f" [{', '.join(settings.warnings)}]" if settings.warnings else ""
        counts = f"n = {self.n} scans of {self.groups} groups; intervals at {settings.level:.0%}"
        lines = [f"{settings.dataset}, {settings.protocol} protocol, {settings.split}{warnings}: {counts}"]
        controlled = [line for test in self.source_controlled for line in test.summary_lines()]
        lines += controlled or [NO_SOURCE_CONTROL if settings.label_set.healthy else NO_HEALTHY_CLASS]
        lines += [f"{TITLES[name]}: {self.score(name).text}" for name in HEADLINES]
        before = {score.name: score for score in self.scores_before}["ece"]
        lines.append(f"ECE before the temperature of {settings.temperature:.3f}: {before.text}; {settings.bins} bins")
        if self.baseline is not None:
            lines += self.baseline.summary_lines()
        if self.abstention is not None:
            lines += self.abstention.summary_lines()
        return tuple(lines)

    def to_json(self) -> dict[str, Any]:
        """Return all results as plain types, in a fixed order, with None for undefined values."""
        settings = self.settings
        return {
            "dataset": settings.dataset,
            "protocol": settings.protocol,
            "split": settings.split,
            "warnings": list(settings.warnings),
            "n": self.n,
            "groups": self.groups,
            "classes": list(settings.label_set.names),
            "healthy": settings.label_set.healthy,
            "temperature": settings.temperature,
            "threshold": settings.threshold,
            "bins": settings.bins,
            "resampling": {"seed": settings.seed, "draws": settings.draws, "level": settings.level},
            "source_controlled": [test.to_json() for test in self.source_controlled],
            "scores": {score.name: score.to_json() for score in self.scores},
            "before_temperature": {score.name: score.to_json() for score in self.scores_before},
            "per_class": {row.name: row.to_json() for row in self.classes},
            "confusion": self.confusion.tolist(),
            "reliability": {"before": self.reliability_before.to_json(), "after": self.reliability.to_json()},
            "curves": {curve.name: curve.to_json() for curve in self.curves},
            "baseline": None if self.baseline is None else self.baseline.to_json(),
            "abstention": None if self.abstention is None else self.abstention.to_json(),
        }


def evaluate(scored: ScoredSet, settings: EvaluationSettings, abstention: AbstentionInputs | None = None) -> Evaluation:
    """Compute all metrics of a model on a test set, with intervals.

    Raises:
        UsageError: There is no scan, a class is unknown, or the rows are no probabilities.
    """
    if len(scored.labels) == 0:
        msg = f"evaluation needs at least one scan, got none in the {settings.split} part"
        raise UsageError(msg)
    labels, groups, label_set = scored.labels, scored.groups, settings.label_set
    resampling = resample(groups, settings.seed, settings.draws, settings.level)

    def inputs(probabilities: Probabilities) -> ScoringInputs:
        return ScoringInputs(labels, probabilities, groups, label_set, resampling)

    def reliability(probabilities: Probabilities) -> Reliability:
        return reliability_diagram(probabilities, labels, groups, settings.bins, settings.level)

    after = inputs(scored.probabilities)
    answers = Answers(labels, groups, scored.probabilities, label_set, settings.threshold)
    return Evaluation(
        settings=settings,
        n=len(labels),
        groups=resampling.groups,
        scores=(
            *decision_scores(after),
            *tumour_scores(after, settings.threshold),
            *calibration_scores(after, settings.bins),
        ),
        scores_before=calibration_scores(inputs(scored.uncalibrated), settings.bins),
        classes=class_rows(after),
        confusion=after.confusion,
        reliability=reliability(scored.probabilities),
        reliability_before=reliability(scored.uncalibrated),
        curves=trace_curves(after),
        baseline=(
            None
            if scored.baseline is None
            else compare_with_baseline(after, inputs(scored.baseline), settings.threshold)
        ),
        abstention=None if abstention is None else measure_abstention(answers, abstention, resampling),
    )
