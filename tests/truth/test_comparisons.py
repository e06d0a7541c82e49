"""Tests and areas against the slow, plain way to compute them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from brainslice.metrics.comparison import mcnemar
from brainslice.metrics.curves.ranking import delong


def slow_delong(positive: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Compare every pair, as in DeLong's own formulas: the area and its variance."""
    sick, well = scores[positive], scores[~positive]
    wins = np.array([[float(x > y) + 0.5 * float(x == y) for y in well] for x in sick])
    area = wins.mean()
    of_sick = sum((row.mean() - area) ** 2 for row in wins) / (len(sick) - 1)
    of_well = sum((column.mean() - area) ** 2 for column in wins.T) / (len(well) - 1)
    return float(area), float(of_sick / len(sick) + of_well / len(well))


def slow_obuchowski(positive: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> float:
    """Sum over groups, as in Obuchowski's own formulas: the variance of the area."""
    sick, well = scores[positive], scores[~positive]
    wins = np.array([[float(x > y) + 0.5 * float(x == y) for y in well] for x in sick])
    area, m, n = wins.mean(), len(sick), len(well)
    by_group = []
    for group in np.unique(groups):
        rows, columns = wins[groups[positive] == group], wins[:, groups[~positive] == group]
        by_group.append(
            (
                sum(row.mean() - area for row in rows),
                sum(column.mean() - area for column in columns.T),
            )
        )
    with_sick, with_well = len(np.unique(groups[positive])), len(np.unique(groups[~positive]))
    of_sick = with_sick / ((with_sick - 1) * m) * sum(a * a for a, _ in by_group)
    of_well = with_well / ((with_well - 1) * n) * sum(b * b for _, b in by_group)
    both = len(by_group) / (len(by_group) - 1) * sum(a * b for a, b in by_group)
    return float(of_sick / m + of_well / n + 2 * both / (m * n))


def spread_of(low: float, high: float) -> float:
    """Recover the standard error on the logit scale from an interval."""
    return (math.log(high / (1 - high)) - math.log(low / (1 - low))) / (2 * norm.ppf(0.975))


@given(st.integers(0, 2**16), st.booleans())
def test_delongs_area_and_variance_are_those_of_comparing_every_pair(seed: int, ties: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
    rng = np.random.default_rng(seed)
    positive = np.arange(45) % 3 == 0
    scores = rng.normal(size=45) + positive
    scores = scores.round() if ties else scores
    area, variance = slow_delong(positive, scores)
    assume(0 < area < 1)
    found, interval = delong(positive, scores)
    assert found == pytest.approx(area)
    assert interval is not None
    assert spread_of(interval.low, interval.high) == pytest.approx(math.sqrt(variance) / (area * (1 - area)))


@given(st.integers(0, 2**16))
def test_the_variance_by_group_is_that_of_obuchowskis_formulas(seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive, groups = np.arange(60) % 3 == 0, rng.integers(15, size=60)
    scores = rng.normal(size=60) + positive
    variance = slow_obuchowski(positive, scores, groups)
    area, interval = delong(positive, scores, groups)
    assert interval is not None
    expected = math.sqrt(variance) / (area * (1 - area))
    assert spread_of(interval.low, interval.high) == pytest.approx(expected)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (3, 1), (12, 13), (0, 25), (40, 20), (500, 420)])
def test_mcnemars_test_agrees_with_scipys_exact_one(first: int, second: int) -> None:
    only_first = np.arange(first + second) < first
    models = only_first, ~only_first
    exact = binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(*models).p_value == pytest.approx(exact, abs=0.0 if first + second <= 25 else 0.005)


def test_equal_models_are_called_different_as_rarely_as_promised() -> None:
    """One in twenty by group; far more often when slices of one patient count as independent."""
    alarms = np.zeros(2)
    for seed in range(400):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(60), rng.integers(1, 15, size=60))
        first, second = (rng.random(60)[groups] < 0.8 for _ in range(2))
        found = mcnemar(first, second, groups)
        assert found.p_value_by_group is not None
        alarms += np.array([found.p_value_by_group, found.p_value]) < 0.05
    assert alarms[0] <= 38
    assert alarms[1] > 80
