"""Prediction sets hold the true class as often as they promise, for scans of every class."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from brainslice.decision.conformal import SetMethod, fit_conformal

CLASSES, COVERAGE = 3, 0.9
SHARES = np.array([0.6, 0.3, 0.1])


def overconfident(rng: np.random.Generator, labels: np.ndarray, patients: np.ndarray | None = None) -> np.ndarray:
    """Probabilities of a model that is often wrong, and surest where it is: nothing about them may be believed."""
    logits = rng.normal(scale=1.5, size=(len(labels), CLASSES)) + 1.5 * np.eye(CLASSES)[labels]
    if patients is not None:
        logits = 0.1 * logits + rng.normal(scale=1.5, size=(patients.max() + 1, CLASSES))[patients]
    exponentials = np.exp(3.0 * logits)
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("method", list(SetMethod))
def test_scans_of_every_class_are_covered_as_promised_whatever_the_model(method: SetMethod) -> None:
    rng = np.random.default_rng(0)
    hits, seen = np.zeros(CLASSES), np.zeros(CLASSES)
    for _ in range(300):
        labels = rng.choice(CLASSES, size=400, p=SHARES)
        probabilities = overconfident(rng, labels)
        sets = fit_conformal(probabilities[:300], labels[:300], COVERAGE, method).sets(probabilities[300:])
        fresh = labels[300:]
        hits += np.bincount(fresh, weights=sets[np.arange(100), fresh], minlength=CLASSES)
        seen += np.bincount(fresh, minlength=CLASSES)
    # Draws share their held-out scans, so the bound is that of as many draws of 100 scans.
    draws = (seen // 10).astype(int)
    assert (hits / seen > binom.ppf(0.001, draws, COVERAGE) / draws).all()
    # By the finite-sample bound the surplus is at most one part in the number of held-out scans.
    assert (hits / seen < binom.ppf(0.999, draws, COVERAGE + 1 / 20) / draws).all()


def drawn_patients(rng: np.random.Generator, patients: int) -> tuple[np.ndarray, np.ndarray]:
    """Patients of 1 to 40 scans, all of one class."""
    sizes = rng.integers(1, 41, size=patients)
    return np.repeat(np.arange(patients), sizes), np.repeat(rng.integers(0, CLASSES, size=patients), sizes)


def test_by_group_a_scan_of_a_new_patient_is_covered_as_promised_where_scans_of_a_patient_resemble_each_other() -> None:
    rng = np.random.default_rng(1)
    covered = {True: 0, False: 0}
    tried = 1500
    for _ in range(tried):
        patients, labels = drawn_patients(rng, 37)
        probabilities = overconfident(rng, labels, patients)
        known = patients < 36
        fresh = rng.choice(np.flatnonzero(~known))
        for by_group in covered:
            groups = patients[known] if by_group else None
            fitted = fit_conformal(probabilities[known], labels[known], COVERAGE, groups=groups)
            covered[by_group] += int(fitted.sets(probabilities[fresh : fresh + 1])[0, labels[fresh]])
    least = binom.ppf(0.001, tried, COVERAGE)
    assert covered[True] >= least
    # Taking scans for independent promises too much: that is what the groups are for.
    assert covered[False] < least
