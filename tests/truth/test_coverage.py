"""Intervals hold the truth as often as they say, also when scans come in groups."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from brainslice.decision.temperature import Temperature
from brainslice.labels import LabelSet
from brainslice.metrics.bootstrap import clustered_bootstrap, inverted_bootstrap, resample
from brainslice.metrics.calibration import confidence_gaps, maximum_gap
from brainslice.metrics.curves.ranking import delong
from brainslice.metrics.intervals import Interval, clustered_wilson
from brainslice.metrics.scoring import ScoringInputs, decision_scores

REPEATS = 200
# Of 200 intervals at 95 %, fewer than 181 hold the truth once in four hundred times; the seeds are fixed.
ENOUGH = 181


def covered(draw: Callable[[np.random.Generator], Interval | None], truth: float) -> int:
    intervals = (draw(np.random.default_rng(seed)) for seed in range(REPEATS))
    return sum(found is not None and found.low <= truth <= found.high for found in intervals)


def patients(rng: np.random.Generator, count: int = 150) -> np.ndarray:
    """Give the group of each scan: patients with few and with many slices."""
    return np.repeat(np.arange(count), np.clip(rng.lognormal(1.5, 0.7, size=count), 1, 30).astype(int))


def alike(rng: np.random.Generator, groups: np.ndarray) -> np.ndarray:
    """Give each scan a number in 0 to 1 that it half shares with its patient."""
    shared = rng.random(groups.max() + 1)[groups]
    return np.where(rng.random(len(groups)) < 0.5, shared, rng.random(len(groups)))


@pytest.mark.parametrize("share", [0.6, 0.9])
def test_clustered_wilson_covers_scans_of_patients_and_plain_wilson_does_not(share: float) -> None:
    def by_patient(rng: np.random.Generator) -> Interval:
        groups = patients(rng)
        return clustered_wilson(alike(rng, groups) < share, groups)

    def by_scan(rng: np.random.Generator) -> Interval:
        right = alike(rng, patients(rng)) < share
        found = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
        return Interval(found.low, found.high, 0.95, "Wilson")

    assert covered(by_patient, share) >= ENOUGH
    assert covered(by_scan, share) < 160


def test_the_bootstrap_covers_a_mean_over_patients() -> None:
    def draw(rng: np.random.Generator) -> Interval | None:
        groups = patients(rng)
        parts = np.column_stack([alike(rng, groups), np.ones(len(groups))])
        return clustered_bootstrap(
            lambda sums: np.asarray(sums[:, 0] / sums[:, 1]), parts, resample(groups, 0, draws=500)
        )

    assert covered(draw, 0.5) >= ENOUGH


def test_the_bootstrap_covers_the_balanced_accuracy() -> None:
    found = np.array([0.95, 0.7, 0.9, 0.85])

    def draw(rng: np.random.Generator) -> Interval | None:
        groups = patients(rng)
        labels = (groups % 10 > 5).astype(int) + groups % 3 % 2 * 2
        called = np.where(alike(rng, groups) < found[labels], labels, (labels + 1) % 4)
        subject = ScoringInputs(labels, np.eye(4)[called], groups, LabelSet(), resample(groups, 0, draws=500))
        return decision_scores(subject)[2].interval

    assert covered(draw, float(found.mean())) >= ENOUGH


def test_delong_covers_the_area_of_scans_of_patients() -> None:
    truth = float(norm.cdf(2 / np.sqrt(2)))

    def draw(rng: np.random.Generator) -> Interval | None:
        groups = patients(rng)
        positive = groups % 2 == 0
        noise = rng.normal(size=groups.max() + 1)[groups] + rng.normal(size=len(groups))
        return delong(positive, 2 * positive + noise / np.sqrt(2), groups)[1]

    assert covered(draw, truth) >= ENOUGH


@pytest.mark.parametrize("heat", [1.0, 1.3, 2.0])
def test_the_calibration_error_is_covered_even_where_there_is_none(heat: float) -> None:
    """A percentile interval holds the truth in none of the 200 at heat 1: noise alone lifts every draw."""

    def world(rng: np.random.Generator, groups: np.ndarray) -> np.ndarray:
        honest = rng.normal(scale=2.0, size=(len(groups), 4))
        chances = Temperature(1.0).probabilities(honest)
        labels = (chances.cumsum(axis=1) < alike(rng, groups)[:, None]).sum(axis=1).clip(max=3)
        return confidence_gaps(Temperature(1.0).probabilities(honest * heat), labels)

    many = np.arange(400_000)
    truth = float(np.abs(world(np.random.default_rng(10**6), many).mean(axis=0)).sum())

    def draw(rng: np.random.Generator) -> Interval | None:
        groups = patients(rng)
        return inverted_bootstrap(world(rng, groups), resample(groups, 0, draws=300))

    assert covered(draw, truth) >= ENOUGH


def test_the_largest_gap_is_covered() -> None:
    levels, gaps = np.array([0.55, 0.75, 0.95]), np.array([0.1, -0.05, -0.2])

    def draw(rng: np.random.Generator) -> Interval:
        groups = patients(rng)
        kind = rng.integers(3, size=len(groups))
        probabilities = np.column_stack([levels[kind], 1 - levels[kind]])
        right = alike(rng, groups) < levels[kind] + gaps[kind]
        return maximum_gap(probabilities, np.where(right, 0, 1), groups, 10)

    assert covered(draw, 0.2) >= ENOUGH
