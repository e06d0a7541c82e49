"""Bootstrap intervals: whole groups of scans drawn with replacement.

Most statistics are functions of sums over scans, so all draws are one matrix product: multiplicities of the groups
times their sums. All statistics share the same draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.stats import norm

from brainslice.array_types import Float, Real, UInt16
from brainslice.arrays import Groups
from brainslice.errors import UsageError
from brainslice.metrics.intervals import LEVEL, Interval

DRAWS = 2000
"""The default number of draws."""

Sums: TypeAlias = Real[np.ndarray, "draws parts"]
"""Sums over the scans of each draw."""

Statistic: TypeAlias = Callable[[Sums], np.ndarray]
"""Maps sums ``(draws, parts)`` to values ``(draws,)``."""

_BLOCK = 256
_BISECTIONS = 40
_MAX_FACTOR = 64.0
_MAX_ACCELERATION = 0.15


@dataclass(frozen=True, slots=True, eq=False)
class Resampling:
    """Bootstrap draws of groups.

    Attributes:
        members: The group of each scan ``(n,)`` as a number from 0.
        multiplicities: How often each group is in each draw ``(draws, groups)``.
        level: The confidence level.
    """

    members: Groups
    multiplicities: UInt16[np.ndarray, "draws groups"]
    level: float = LEVEL

    @property
    def groups(self) -> int:
        """The number of groups."""
        return int(self.multiplicities.shape[1])

    @property
    def description(self) -> str:
        """The number of draws and groups as text."""
        return f"{len(self.multiplicities)} draws of {self.groups} groups"


def resample(groups: Groups, seed: int, draws: int = DRAWS, level: float = LEVEL) -> Resampling:
    """Draw as many groups as there are, with replacement.

    Raises:
        UsageError: There is no scan or no draw.
    """
    if len(groups) == 0 or draws < 1:
        msg = f"resampling needs at least one scan and one draw, got {len(groups)} scans and {draws} draws"
        raise UsageError(msg)
    members = np.unique(groups, return_inverse=True)[1]
    count = int(members.max()) + 1
    multiplicities = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws)
    return Resampling(members, multiplicities.astype(np.uint16), level)


def clustered_bootstrap(
    statistic: Statistic, parts: Real[np.ndarray, "n parts"], resampling: Resampling
) -> Interval | None:
    """Compute the bias-corrected and accelerated interval of a smooth statistic of sums.

    Args:
        statistic: Maps sums ``(draws, parts)`` to values ``(draws,)``; NaN for a draw without a value.
        parts: Each scan's summands ``(n, parts)``.
        resampling: The draws.

    Returns:
        The interval; None if all draws give the same value, as with one group.

    Reference:
        Efron, Better Bootstrap Confidence Intervals, JASA 1987.
    """
    totals = _group_sums(parts, resampling)
    whole = totals.sum(axis=0, keepdims=True)
    without_one = statistic(whole - totals) if resampling.groups > 1 else np.zeros(0)
    return _accelerated(float(statistic(whole)[0]), statistic(_drawn(totals, resampling)), without_one, resampling)


def bootstrap_of_draws(
    statistic: Callable[[Real[np.ndarray, "draws groups"]], np.ndarray], resampling: Resampling
) -> Interval | None:
    """Compute the same interval of a statistic that is no function of sums, such as the average precision.

    Args:
        statistic: Maps multiplicities ``(draws, groups)`` to values ``(draws,)``.
        resampling: The draws.

    Returns:
        The interval; None if all draws give the same value.
    """
    drawn = np.concatenate([statistic(block) for block in _blocks(resampling.multiplicities)])
    without_one = np.concatenate([statistic(block) for block in _blocks(1.0 - np.eye(resampling.groups))])
    return _accelerated(float(statistic(np.ones((1, resampling.groups)))[0]), drawn, without_one, resampling)


def inverted_bootstrap(
    parts: Float[np.ndarray, "n parts"], resampling: Resampling, scale: float = 1.0
) -> Interval | None:
    """Compute the interval of a sum of absolute mean gaps, an estimate that noise biases upwards.

    A percentile interval would be wrong: the estimate is above zero even without any true gap, and every draw adds
    noise once more. The lower end inverts a test: the smallest factor on the observed gaps at which, with the noise
    of the draws added, the estimate is not unusual. The upper end takes the signs of the observed gaps as true and
    bounds their sum.

    Args:
        parts: The signed gaps of each scan ``(n, parts)``, whose means over scans are the gaps.
        resampling: The draws.
        scale: A factor on the sum of the absolute gaps.

    Returns:
        The interval; None if all draws give the same value.

    Reference:
        Carpenter, Test Inversion Bootstrap Confidence Intervals, JRSS B 1999.
    """
    totals = _group_sums(parts, resampling)
    gaps = totals.sum(axis=0) / len(parts)
    sizes = np.bincount(resampling.members)[:, None]
    noise = _drawn(totals, resampling) / _drawn(sizes, resampling) - gaps
    estimate = float(np.abs(gaps).sum())
    if not np.abs(noise).max() > _tolerance(estimate):
        return None
    tail = (1 - resampling.level) / 2
    low = _factor(gaps, noise, 1 - tail) * estimate
    high = estimate - float(np.quantile(noise @ np.sign(gaps), tail))
    method = f"bootstrap by test inversion ({resampling.description})"
    return Interval(scale * min(low, estimate), scale * max(high, estimate), resampling.level, method)


def _factor(gaps: np.ndarray, noise: np.ndarray, quantile: float) -> float:
    """Find the factor at which the estimate is this quantile of the scaled gaps with noise."""
    estimate = float(np.abs(gaps).sum())

    def reaches(factor: float) -> bool:
        return float(np.quantile(np.abs(factor * gaps + noise).sum(axis=1), quantile)) >= estimate

    if reaches(0.0):
        return 0.0
    low, high = 0.0, 1.0
    while not reaches(high) and high < _MAX_FACTOR:
        low, high = high, 2 * high
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return (low + high) / 2


def _accelerated(
    estimate: float, drawn: np.ndarray, without_one: np.ndarray, resampling: Resampling
) -> Interval | None:
    drawn = drawn[np.isfinite(drawn)]
    if len(drawn) == 0 or np.ptp(drawn) <= _tolerance(estimate):
        return None
    below = (np.mean(drawn < estimate) + np.mean(drawn <= estimate)) / 2
    bias = norm.ppf(np.clip(below, 0.5 / len(drawn), 1 - 0.5 / len(drawn)))
    tails = bias + norm.ppf([(1 - resampling.level) / 2, (1 + resampling.level) / 2])
    ends = np.quantile(drawn, norm.cdf(bias + tails / (1 - _acceleration(without_one) * tails)))
    method = f"BCa bootstrap by group ({resampling.description})"
    return Interval(min(float(ends[0]), estimate), max(float(ends[1]), estimate), resampling.level, method)


def _acceleration(without_one: np.ndarray) -> float:
    """Compute the acceleration from the jackknife, within bounds that keep the correction invertible."""
    influence = without_one[np.isfinite(without_one)]
    influence = influence.mean() - influence
    spread = float((influence**2).sum()) ** 1.5
    skew = float((influence**3).sum()) / (6 * spread) if spread > 0 else 0.0
    return float(np.clip(skew, -_MAX_ACCELERATION, _MAX_ACCELERATION))


def _group_sums(parts: np.ndarray, resampling: Resampling) -> np.ndarray:
    sums = np.zeros((resampling.groups, parts.shape[1]))
    np.add.at(sums, resampling.members, parts)
    return sums


def _drawn(totals: np.ndarray, resampling: Resampling) -> np.ndarray:
    return np.concatenate([block.astype(np.float64) @ totals for block in _blocks(resampling.multiplicities)])


def _blocks(counts: np.ndarray) -> list[np.ndarray]:
    return np.split(counts, range(_BLOCK, len(counts), _BLOCK))


def _tolerance(estimate: float) -> float:
    return 1e-12 * max(1.0, abs(estimate))
