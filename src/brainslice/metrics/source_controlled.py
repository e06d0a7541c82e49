"""Source-controlled metrics of P(tumour): within one source, one patient or one slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from brainslice.array_types import Bool, Float64, Int
from brainslice.arrays import Decisions, Groups, Scores
from brainslice.metrics.bootstrap import resample
from brainslice.metrics.curves.ranking import area_under_roc
from brainslice.metrics.intervals import LEVEL
from brainslice.metrics.scoring import Score, auc_score, mean_score, proportion

SENSITIVITY: Final = 0.85
"""Sensitivity at which specificity is reported beside that at the bundle's threshold."""

TWINS: Final = "mirror twins"
"""Name of the test on mirror twins."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoredSlices:
    """Slices with and without tumour, with a model's scores and predictions.

    Attributes:
        tumour: Whether each slice shows a tumour ``(n,)``.
        scores: Log odds of a tumour ``(n,)``.
        called: Whether each slice is predicted as a tumour at the bundle's threshold ``(n,)``.
        patients: A number for each slice's patient ``(n,)``.
    """

    tumour: Decisions
    scores: Scores
    called: Decisions
    patients: Groups


@dataclass(frozen=True, slots=True, eq=False)
class ScoredTwins:
    """Mirror twins and shams, with a model's scores and predictions; one row a pair.

    Attributes:
        patients: A number for each pair's patient ``(n,)``.
        scores: Log odds of a tumour of the healthy and of the lesion twin ``(n, 2)``.
        called: Whether each twin is predicted as a tumour at the bundle's threshold ``(n, 2)``.
        sham: 1 where the sham changed the answer, 0 where it did not, -1 where there is none ``(n,)``.
    """

    patients: Groups
    scores: Float64[np.ndarray, "n 2"]
    called: Bool[np.ndarray, "n 2"]
    sham: Int[np.ndarray, " n"]

    @classmethod
    def join(cls, parts: Sequence[ScoredTwins]) -> ScoredTwins:
        """Concatenate the pairs of several folds."""
        arrays = [part.to_arrays() for part in parts]
        return cls(**{name: np.concatenate([each[name] for each in arrays]) for name in arrays[0]})

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the fields by name."""
        return {"patients": self.patients, "scores": self.scores, "called": self.called, "sham": self.sham}


@dataclass(frozen=True, slots=True)
class SourceControlled:
    """Result of one source-controlled test.

    Attributes:
        name: The data.
        scores: The metrics, each with n, patients and interval by patient.
        counts: Counts that are no shares, such as ``confident_misses``.
    """

    name: str
    scores: tuple[Score, ...]
    counts: dict[str, int]

    def summary_lines(self) -> tuple[str, ...]:
        """Describe the scores, a line each."""
        lines = [
            f"{self.name}, {score.name.replace('_', ' ')}: {score.text}, n = {score.n}, patients = {score.groups}"
            for score in self.scores
        ]
        return (*lines, *(f"{self.name}, {name.replace('_', ' ')}: {count}" for name, count in self.counts.items()))

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain types."""
        return {
            "name": self.name,
            "scores": {score.name: score.to_json() for score in self.scores},
            "counts": dict(self.counts),
        }


def slice_scores(slices: ScoredSlices, seed: int = 0) -> tuple[Score, ...]:
    """Score slices with and without tumour of the same patients.

    Returns:
        AUC, mean AUC within patients, specificity and sensitivity at the threshold, and specificity at the highest
        threshold that reaches ``SENSITIVITY``.
    """
    tumour, patients = slices.tumour, slices.patients
    healthy = ~tumour
    at_sensitivity = np.zeros(0, np.bool_)
    if tumour.any():
        threshold = np.quantile(slices.scores[tumour], 1 - SENSITIVITY, method="lower")
        at_sensitivity = slices.scores[healthy] < threshold
    fixed = "specificity_at_sensitivity_85"
    return (
        auc_score("auc", tumour, slices.scores, patients),
        area_within_patients(slices, seed),
        proportion("specificity", ~slices.called[healthy], patients[healthy], LEVEL),
        proportion("sensitivity", slices.called[tumour], patients[tumour], LEVEL),
        proportion(fixed, at_sensitivity, patients[healthy] if tumour.any() else patients[:0], LEVEL),
    )


def score_twins(twins: ScoredTwins) -> SourceControlled:
    """Score pairs of healthy and lesion twins, and how often a sham changes the answer."""
    (healthy, lesion), patients = twins.scores.T, twins.patients
    both, tumour = np.concatenate([healthy, lesion]), np.repeat([False, True], len(patients))
    shams = twins.sham >= 0
    scores = [
        auc_score("twin_auc", tumour, both, np.concatenate([patients, patients])),
        proportion("lesion_twin_scores_higher", lesion > healthy, patients, LEVEL),
        proportion("healthy_twin_specificity", ~twins.called[:, 0], patients, LEVEL),
        proportion("lesion_twin_sensitivity", twins.called[:, 1], patients, LEVEL),
    ]
    if shams.any():
        scores.append(proportion("sham_changes_answer", twins.sham[shams] > 0, patients[shams], LEVEL))
    return SourceControlled(TWINS, tuple(scores), {"pairs": len(patients)})


def area_within_patients(slices: ScoredSlices, seed: int = 0) -> Score:
    """Average the AUC over the patients with slices of both classes, with a bootstrap interval by patient."""
    name, areas, n = "auc_within_patients", [], 0
    for patient in np.unique(slices.patients):
        own = slices.patients == patient
        tumour = slices.tumour[own]
        if tumour.any() and not tumour.all():
            areas.append(area_under_roc(tumour, slices.scores[own]))
            n += len(tumour)
    if not areas:
        return Score(name, None, None, 0, 0, "undefined: no patient has slices with and without tumour")
    return mean_score(name, np.array(areas), resample(np.arange(len(areas)), seed), n)
