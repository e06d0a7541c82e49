"""Source-controlled metrics: what P(tumour) tells within one source, one patient or one picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from brainslice.arrays import Decisions, Groups, Scores
from brainslice.metrics.curves.ranking import area_under_roc
from brainslice.metrics.intervals.asymptotic import LEVEL, delong
from brainslice.metrics.intervals.bootstrap import clustered_bootstrap, resample
from brainslice.metrics.scoring import Score, proportion

SENSITIVITY: Final = 0.85
"""Sensitivity at which specificity is reported beside that at the bundle's threshold."""

_NO_INTERVAL: Final = "no interval: the value does not vary between patients"


@dataclass(frozen=True, slots=True, eq=False)
class ScoredSlices:
    """Slices with and without tumour, and what a model made of them.

    Attributes:
        tumour: Whether each slice shows a tumour ``(n,)``.
        scores: Log odds of a tumour ``(n,)``.
        called: Whether each slice is called a tumour at the bundle's threshold ``(n,)``.
        patients: A number for each slice's patient ``(n,)``.
    """

    tumour: Decisions
    scores: Scores
    called: Decisions
    patients: Groups


def slice_scores(slices: ScoredSlices, seed: int = 0) -> tuple[Score, ...]:
    """Score slices with and without tumour of the same patients.

    Args:
        slices: The slices.
        seed: Seed of the bootstrap over patients.

    Returns:
        AUC, mean AUC within patients, specificity and sensitivity at the threshold, and specificity at the highest
        threshold that reaches ``SENSITIVITY``.
    """
    tumour, patients = slices.tumour, slices.patients
    healthy = ~tumour
    at_sensitivity = np.zeros(0, np.bool_)
    if tumour.any():
        cut = np.quantile(slices.scores[tumour], 1 - SENSITIVITY, method="lower")
        at_sensitivity = slices.scores[healthy] < cut
    fixed = "specificity_at_sensitivity_85"
    return (
        area("auc", tumour, slices.scores, patients),
        area_within_patients(slices, seed),
        proportion("specificity", ~slices.called[healthy], patients[healthy], LEVEL),
        proportion("sensitivity", slices.called[tumour], patients[tumour], LEVEL),
        proportion(fixed, at_sensitivity, patients[healthy] if tumour.any() else patients[:0], LEVEL),
    )


def twin_scores(healthy: ScoredSlices, lesion: ScoredSlices) -> tuple[Score, ...]:
    """Score pairs of healthy and lesion twins, row by row of the same picture."""
    both = np.concatenate([healthy.scores, lesion.scores])
    tumour = np.repeat([False, True], len(healthy.scores))
    return (
        area("twin_auc", tumour, both, np.concatenate([healthy.patients, lesion.patients])),
        proportion("lesion_twin_scores_higher", lesion.scores > healthy.scores, lesion.patients, LEVEL),
        proportion("healthy_twin_specificity", ~healthy.called, healthy.patients, LEVEL),
        proportion("lesion_twin_sensitivity", lesion.called, lesion.patients, LEVEL),
    )


def area(name: str, tumour: Decisions, scores: Scores, patients: Groups) -> Score:
    """Compute the AUC with DeLong's interval by patient."""
    n, found = len(tumour), len(np.unique(patients))
    if tumour.all() or not tumour.any():
        return Score(name, None, None, n, found, "undefined: it needs slices with and without tumour")
    value, interval = delong(tumour, scores, patients)
    return Score(name, value, interval, n, found, "" if interval else _NO_INTERVAL)


def area_within_patients(slices: ScoredSlices, seed: int = 0) -> Score:
    """Average the AUC over the patients who have slices of both kinds, with a bootstrap interval by patient."""
    name, areas, n = "auc_within_patients", [], 0
    for patient in np.unique(slices.patients):
        own = slices.patients == patient
        tumour = slices.tumour[own]
        if tumour.any() and not tumour.all():
            areas.append(area_under_roc(tumour, slices.scores[own]))
            n += len(tumour)
    if not areas:
        return Score(name, None, None, 0, 0, "undefined: no patient has slices with and without tumour")
    parts = np.column_stack([areas, np.ones(len(areas))])
    draws = resample(np.arange(len(areas)), seed)
    interval = clustered_bootstrap(lambda sums: sums[:, 0] / sums[:, 1], parts, draws)
    return Score(name, float(np.mean(areas)), interval, n, len(areas), "" if interval else _NO_INTERVAL)
