"""A promised sensitivity holds as often as the guarantee says, and without the guarantee it does not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import norm

from brainslice.decision.operating_point import Criterion, Target, Unit
from brainslice.decision.threshold_search import Assurance, TumourScores, guaranteed_threshold, search_threshold

REPEATS = 200
TARGET = 0.95
GOAL = Target(Criterion.SENSITIVITY, TARGET)
PROMISED = Target(Criterion.SPECIFICITY, TARGET)

# How much of the spread of a scan's logit is its patient's, and how many scans a patient has.
SHARED, OWN, SLICES = 1.2, 0.5, 6


def resampled(seed: int, patients: int = 60) -> TumourScores:
    """Draw patients, half of them with a tumour, whose scans resemble each other."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 2 * SLICES, size=2 * patients)
    groups = np.repeat(np.arange(2 * patients), counts)
    tumour = groups < patients
    logits = SHARED * rng.normal(size=2 * patients)[groups] + OWN * rng.normal(size=len(groups))
    return TumourScores(1 / (1 + np.exp(-(logits + np.where(tumour, 2.0, -2.0)))), tumour, groups)


def reached(threshold: float) -> float:
    """The sensitivity for a scan of a new patient; specificity is its mirror image at one minus the threshold."""
    return float(norm.sf((np.log(threshold / (1 - threshold)) - 2.0) / np.hypot(SHARED, OWN)))


def times_kept(choose: Callable[[TumourScores, int], float], rate: Callable[[float], float] = reached) -> int:
    return sum(rate(choose(resampled(seed), seed)) >= TARGET for seed in range(REPEATS))


def test_a_sensitivity_promised_with_the_guarantee_holds_in_nine_of_ten_resamples() -> None:
    assert times_kept(lambda tuning, seed: guaranteed_threshold(GOAL, tuning, Assurance(seed=seed)).threshold) >= 180


def test_a_specificity_promised_with_the_guarantee_does_too() -> None:
    kept = times_kept(
        lambda tuning, seed: guaranteed_threshold(PROMISED, tuning, Assurance(seed=seed)).threshold,
        lambda threshold: reached(1 - threshold),
    )
    assert kept >= 180


def test_a_sensitivity_that_is_only_counted_does_not() -> None:
    assert times_kept(lambda tuning, _: search_threshold(GOAL, tuning).threshold) < 140


def test_nor_does_a_guarantee_that_takes_scans_of_a_patient_as_independent() -> None:
    def naively(tuning: TumourScores, seed: int) -> float:
        alone = TumourScores(tuning.scores, tuning.tumour, np.arange(len(tuning.scores)))
        return guaranteed_threshold(GOAL, alone, Assurance(seed=seed)).threshold

    assert times_kept(naively) < 165


def test_the_guarantee_over_groups_holds_for_patients_of_whom_every_scan_is_found() -> None:
    fresh = resampled(10**6, patients=20_000)
    sick = fresh.scores[fresh.tumour]
    starts = np.unique(fresh.groups[fresh.tumour], return_index=True)[1]
    worst = np.minimum.reduceat(sick, starts)

    def whole(unit: Unit) -> int:
        return times_kept(
            lambda tuning, seed: guaranteed_threshold(GOAL, tuning, Assurance(unit=unit, seed=seed)).threshold,
            lambda threshold: float((worst >= threshold).mean()),
        )

    assert whole(Unit.GROUP) >= 180
    assert whole(Unit.SCAN) < 165


@pytest.mark.parametrize("confidence", [0.5, 0.99])
def test_another_confidence_is_kept_as_well(confidence: float) -> None:
    kept = times_kept(
        lambda tuning, seed: (
            guaranteed_threshold(GOAL, tuning, Assurance(confidence=confidence, seed=seed)).threshold
            if confidence < 0.9
            else guaranteed_threshold(GOAL, resampled(seed, 120), Assurance(confidence=confidence, seed=seed)).threshold
        )
    )
    assert kept >= (confidence - 0.02) * REPEATS
