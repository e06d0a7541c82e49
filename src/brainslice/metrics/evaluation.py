"""Everything that is said about one model on one test set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from brainslice.arrays import Groups, Labels, Probabilities
from brainslice.errors import UsageError
from brainslice.labels import LabelSet
from brainslice.metrics.abstention import Abstention, AbstentionInputs, Answers, measure_abstention
from brainslice.metrics.baseline_comparison import BaselineComparison, compare_with_baseline
from brainslice.metrics.calibration import BINS
from brainslice.metrics.classification import Confusion
from brainslice.metrics.curves.one_vs_rest import ClassCurves, trace_curves
from brainslice.metrics.curves.reliability_diagram import Reliability, reliability_of
from brainslice.metrics.intervals.asymptotic import LEVEL
from brainslice.metrics.intervals.bootstrap import DRAWS, Resampling, resample
from brainslice.metrics.per_class import ClassRow, class_rows
from brainslice.metrics.scoring import TITLES, Score, ScoringInputs, calibration_scores, decision_scores, tumour_scores
from brainslice.metrics.source_controlled import SourceControlled

HEADLINES = ("accuracy", "macro_f1", "balanced_accuracy", "tumour_auc", "sensitivity", "specificity", "ece")
"""The scores that are printed first."""

NO_SOURCE_CONTROL = "source-controlled test: not run, the set has no outlines; give folders of slices with --slices"


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """The terms on which a model is judged; every document and figure repeats them.

    Attributes:
        label_set: The classes in the order of the probabilities.
        dataset: The name of the data.
        protocol: How they were split, as "clean" or "official".
        split: Which part is judged on.
        warnings: Warnings that no reader may miss: "leaky", "phantom".
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
    warnings: tuple[str, ...] = ()
    temperature: float = 1.0
    threshold: float = 0.5
    bins: int = BINS
    seed: int = 0
    draws: int = DRAWS
    level: float = LEVEL


@dataclass(frozen=True, slots=True, eq=False)
class ScoredSet:
    """What was said about each scan of a test set, beside the truth.

    Attributes:
        labels: True classes ``(n,)``.
        groups: The group of each scan ``(n,)``.
        probabilities: The model's, after its temperature ``(n, k)``.
        uncalibrated: The model's, before its temperature ``(n, k)``.
        baseline: Those of the shortcut floor on the same scans ``(n, k)``, where it was fitted.
    """

    labels: Labels
    groups: Groups
    probabilities: Probabilities
    uncalibrated: Probabilities
    baseline: Probabilities | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Everything that is said about one model on one test set.

    Attributes:
        settings: The terms on which it was judged.
        n: Scans.
        groups: Groups they come from.
        scores: All scores, after the temperature.
        scores_before: The calibration scores before it.
        classes: Each class by itself.
        confusion: Counts ``(k, k)``, true classes in rows.
        reliability: The reliability diagram after the temperature.
        reliability_before: The same before it.
        curves: ROC and precision-recall curves of each class that some, but not all scans have.
        baseline: The shortcut floor on the same scans, where it was fitted.
        abstention: What is left to a person, where the model was asked.
        source_controlled: What remains where tumour and tumour-free pictures have the same source.
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
        """Find a score, after the temperature, by its name.

        Raises:
            UsageError: There is no such score.
        """
        found = {score.name: score for score in self.scores}
        if name not in found:
            msg = f"score must be one of {list(found)}, got {name!r}"
            raise UsageError(msg)
        return found[name]

    def summary_lines(self) -> tuple[str, ...]:
        """Say the headline numbers, each with its interval, a line each."""
        terms = self.settings
        marks = f" [{', '.join(terms.warnings)}]" if terms.warnings else ""
        counted = f"n = {self.n} scans of {self.groups} groups; intervals at {terms.level:.0%}"
        lines = [f"{terms.dataset}, {terms.protocol} protocol, {terms.split}{marks}: {counted}"]
        lines += [line for test in self.source_controlled for line in test.summary_lines()] or [NO_SOURCE_CONTROL]
        lines += [f"{TITLES[name]}: {self.score(name).text}" for name in HEADLINES]
        before = {score.name: score for score in self.scores_before}["ece"]
        lines.append(f"ECE before the temperature of {terms.temperature:.3f}: {before.text}; {terms.bins} bins")
        if self.baseline is not None:
            lines += self.baseline.summary_lines()
        if self.abstention is not None:
            lines += self.abstention.summary_lines()
        return tuple(lines)

    def to_json(self) -> dict[str, Any]:
        """Write everything in plain types, in a fixed order, with None for what is undefined."""
        terms = self.settings
        return {
            "dataset": terms.dataset,
            "protocol": terms.protocol,
            "split": terms.split,
            "warnings": list(terms.warnings),
            "n": self.n,
            "groups": self.groups,
            "classes": list(terms.label_set.names),
            "healthy": terms.label_set.healthy,
            "temperature": terms.temperature,
            "threshold": terms.threshold,
            "bins": terms.bins,
            "resampling": {"seed": terms.seed, "draws": terms.draws, "level": terms.level},
            "source_controlled": [test.to_json() for test in self.source_controlled],
            "scores": {score.name: score.to_json() for score in self.scores},
            "before_temperature": {score.name: score.to_json() for score in self.scores_before},
            "per_class": {row.name: row.to_json() for row in self.classes},
            "confusion": self.confusion.tolist(),
            "reliability": {
                "before": self.reliability_before.to_json(),
                "after": self.reliability.to_json(),
            },
            "curves": {curve.name: curve.to_json() for curve in self.curves},
            "baseline": None if self.baseline is None else self.baseline.to_json(),
            "abstention": None if self.abstention is None else self.abstention.to_json(),
        }


def evaluate(scored: ScoredSet, terms: EvaluationSettings, caution: AbstentionInputs | None = None) -> Evaluation:
    """Judge a model on a test set: every score with its interval, and the floor beside it.

    Args:
        scored: What was said about each scan, beside the truth.
        terms: The terms on which to judge.
        caution: What was said about each scan besides its probabilities, where anything was.

    Raises:
        UsageError: There is no scan, a class is unknown, or the rows are no probabilities.
    """
    if len(scored.labels) == 0:
        msg = f"a model can be judged on at least one scan, got none in the {terms.split} part"
        raise UsageError(msg)
    resampling = resample(scored.groups, terms.seed, terms.draws, terms.level)
    after = _judged(scored, scored.probabilities, terms, resampling)
    before = _judged(scored, scored.uncalibrated, terms, resampling)
    floor = None
    if scored.baseline is not None:
        floor = compare_with_baseline(after, _judged(scored, scored.baseline, terms, resampling), terms.threshold)
    decisions = (*decision_scores(after), *tumour_scores(after, terms.threshold))
    return Evaluation(
        settings=terms,
        n=len(scored.labels),
        groups=resampling.groups,
        scores=(*decisions, *calibration_scores(after, terms.bins)),
        scores_before=calibration_scores(before, terms.bins),
        classes=class_rows(after),
        confusion=after.confusion,
        reliability=reliability_of(after, terms.bins),
        reliability_before=reliability_of(before, terms.bins),
        curves=trace_curves(after),
        baseline=floor,
        abstention=None if caution is None else measure_abstention(_answers(scored, terms), caution, resampling),
    )


def _answers(scored: ScoredSet, terms: EvaluationSettings) -> Answers:
    return Answers(scored.labels, scored.groups, scored.probabilities, terms.label_set, terms.threshold)


def _judged(
    scored: ScoredSet, probabilities: Probabilities, terms: EvaluationSettings, resampling: Resampling
) -> ScoringInputs:
    return ScoringInputs(scored.labels, probabilities, scored.groups, terms.label_set, resampling)
