"""Intervals by drawing again: whole groups of scans, with replacement.

Everything measured here is a function of sums over scans, so a draw is a matrix product: how often
each group was drawn times what it adds. The same draws serve every statistic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Real, UInt16
from scipy.stats import norm

from brainslice.arrays import Groups
from brainslice.errors import UsageError
from brainslice.metrics.intervals.asymptotic import LEVEL, Interval

DRAWS = 2000
"""How often groups are drawn again, unless told otherwise."""

Sums: TypeAlias = Real[np.ndarray, "draws parts"]
"""What the scans of each draw add up to, part by part."""

Statistic: TypeAlias = Callable[[Sums], np.ndarray]
"""Turns the sums of each draw ``(draws, parts)`` into one number a draw ``(draws,)``."""

_BLOCK = 256
_HALVINGS = 40
_STRETCH = 64.0
_MOST_SKEW = 0.15


@dataclass(frozen=True, slots=True, eq=False)
class Resampling:
    """The draws that all statistics of one set of scans share.

    Attributes:
        members: The group of each scan ``(n,)`` as a number from 0.
        multiplicities: How often each draw holds each group ``(draws, groups)``.
        level: How often an interval is to hold the truth.
    """

    members: Groups
    multiplicities: UInt16[np.ndarray, "draws groups"]
    level: float = LEVEL

    @property
    def groups(self) -> int:
        """Count the groups."""
        return int(self.multiplicities.shape[1])

    @property
    def words(self) -> str:
        """Say what was drawn."""
        return f"{len(self.multiplicities)} draws of {self.groups} groups"


def resample(groups: Groups, seed: int, draws: int = DRAWS, level: float = LEVEL) -> Resampling:
    """Draw as many groups as there are, with replacement, many times.

    Args:
        groups: The group of each scan ``(n,)``.
        seed: The same seed gives the same draws.
        draws: How many.
        level: How often an interval is to hold the truth.

    Raises:
        UsageError: There is no scan or no draw.
    """
    if len(groups) == 0 or draws < 1:
        msg = f"resampling needs at least one scan and one draw, got {len(groups)} scans and {draws} draws"
        raise UsageError(msg)
    members = np.unique(groups, return_inverse=True)[1]
    found = int(members.max()) + 1
    random = np.random.default_rng(seed)
    drawn = random.multinomial(found, np.full(found, 1 / found), size=draws)
    return Resampling(members, drawn.astype(np.uint16), level)


def clustered_bootstrap(
    statistic: Statistic, parts: Real[np.ndarray, "n parts"], resampling: Resampling
) -> Interval | None:
    """Bound a smooth statistic of sums by the bias-corrected and accelerated bootstrap over groups.

    Args:
        statistic: Turns sums ``(draws, parts)`` into values ``(draws,)``; NaN where a draw allows none.
        parts: What each scan adds to the sums.
        resampling: The draws.

    Returns:
        The interval; None where all draws give the same value, as with one group or no error at all.

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
    """Bound a statistic that is no function of sums, such as one of the whole ranking, in the same way.

    Args:
        statistic: Turns how often each group counts ``(draws, groups)`` into values ``(draws,)``.
        resampling: The draws.

    Returns:
        The interval; None where all draws give the same value.
    """
    everyone = np.ones((1, resampling.groups))
    drawn = np.concatenate([statistic(block) for block in _blocks(resampling.multiplicities)])
    without_one = np.concatenate([statistic(block) for block in _blocks(1.0 - np.eye(resampling.groups))])
    return _accelerated(float(statistic(everyone)[0]), drawn, without_one, resampling)


def inverted_bootstrap(
    parts: Float[np.ndarray, "n parts"], resampling: Resampling, scale: float = 1.0
) -> Interval | None:
    """Bound a sum of absolute mean gaps, which noise alone makes larger than it is.

    A percentile interval would be wrong here: even without any true gap the estimate is above zero,
    and every draw adds noise once more. So the lower end turns the question round: how small may the
    gaps seen be scaled until, with the noise of the draws added, the estimate becomes unusual? The upper
    end lets noise explain nothing: it takes the signs of the gaps seen as true and bounds their sum.

    Args:
        parts: The signed gaps of each scan ``(n, parts)``; a mean over scans is a gap.
        resampling: The draws.
        scale: What the sum of the absolute gaps is multiplied by.

    Returns:
        The interval; None where all draws give the same value.

    Reference:
        Carpenter, Test Inversion Bootstrap Confidence Intervals, JRSS B 1999.
    """
    totals = _group_sums(parts, resampling)
    gaps = totals.sum(axis=0) / len(parts)
    sizes = np.bincount(resampling.members)[:, None]
    noise = _drawn(totals, resampling) / _drawn(sizes, resampling) - gaps
    estimate = float(np.abs(gaps).sum())
    if not np.abs(noise).max() > _rounding(estimate):
        return None
    tail = (1 - resampling.level) / 2
    low = _factor(gaps, noise, 1 - tail) * estimate
    high = estimate - float(np.quantile(noise @ np.sign(gaps), tail))
    method = f"bootstrap by test inversion ({resampling.words})"
    return Interval(scale * min(low, estimate), scale * max(high, estimate), resampling.level, method)


def _factor(gaps: np.ndarray, noise: np.ndarray, quantile: float) -> float:
    """Find the factor at which the estimate is this quantile of what noise makes of the scaled gaps."""
    estimate = float(np.abs(gaps).sum())

    def reaches(factor: float) -> bool:
        return float(np.quantile(np.abs(factor * gaps + noise).sum(axis=1), quantile)) >= estimate

    if reaches(0.0):
        return 0.0
    low, high = 0.0, 1.0
    while not reaches(high) and high < _STRETCH:
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return (low + high) / 2


def _accelerated(
    estimate: float, drawn: np.ndarray, without_one: np.ndarray, resampling: Resampling
) -> Interval | None:
    drawn = drawn[np.isfinite(drawn)]
    if len(drawn) == 0 or np.ptp(drawn) <= _rounding(estimate):
        return None
    below = (np.mean(drawn < estimate) + np.mean(drawn <= estimate)) / 2
    bias = norm.ppf(np.clip(below, 0.5 / len(drawn), 1 - 0.5 / len(drawn)))
    tails = bias + norm.ppf([(1 - resampling.level) / 2, (1 + resampling.level) / 2])
    ends = np.quantile(drawn, norm.cdf(bias + tails / (1 - _acceleration(without_one) * tails)))
    method = f"BCa bootstrap by group ({resampling.words})"
    return Interval(min(float(ends[0]), estimate), max(float(ends[1]), estimate), resampling.level, method)


def _acceleration(without_one: np.ndarray) -> float:
    """Measure how skewed the groups' influence is, within bounds that keep the correction invertible."""
    pulls = without_one[np.isfinite(without_one)]
    pulls = pulls.mean() - pulls
    spread = float((pulls**2).sum()) ** 1.5
    skew = float((pulls**3).sum()) / (6 * spread) if spread > 0 else 0.0
    return float(np.clip(skew, -_MOST_SKEW, _MOST_SKEW))


def _group_sums(parts: np.ndarray, resampling: Resampling) -> np.ndarray:
    sums = np.zeros((resampling.groups, parts.shape[1]))
    np.add.at(sums, resampling.members, parts)
    return sums


def _drawn(totals: np.ndarray, resampling: Resampling) -> np.ndarray:
    return np.concatenate([block.astype(np.float64) @ totals for block in _blocks(resampling.multiplicities)])


def _blocks(counts: np.ndarray) -> list[np.ndarray]:
    return np.split(counts, range(_BLOCK, len(counts), _BLOCK))


def _rounding(estimate: float) -> float:
    return 1e-12 * max(1.0, abs(estimate))
