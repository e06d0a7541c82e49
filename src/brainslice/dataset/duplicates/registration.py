"""Affine registration of two images by correlation."""

from __future__ import annotations

import functools
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from brainslice.array_types import Bool, Float32, Int
from brainslice.dataset.duplicates.fingerprint import HighPassed, Window

Transforms: TypeAlias = Float32[np.ndarray, "m 2 3"]
"""Affine transforms of points of a square to another, in coordinates from -1 to 1, column before row."""

_Correlations: TypeAlias = Float32[np.ndarray, " m"]
_Rows: TypeAlias = Float32[np.ndarray, "m q"]
_Slopes: TypeAlias = Float32[np.ndarray, "pictures 2 q"]

# Minimum fraction of overlap for a meaningful correlation.
_OVERLAP: Final = 0.6
# Range of the singular values of plausible transforms.
_SCALE_RANGE: Final = (0.65, 1.55)

# Pixels beyond the middle of the outermost pixel that are inside.
_EDGE: Final = 0.75
_IDENTITY: Final = np.eye(2, 3, dtype=np.float32)


class Schedule(NamedTuple):
    """How long a registration goes on.

    Attributes:
        minima: Minimum correlation at the start and after each step; pairs below are left alone.
        stride: Only every so many rows and columns of the first squares are compared.
        enough: Correlation at the start above which a pair is not optimised.
        least_gain: Gain of correlation below which a step is the last.
    """

    minima: tuple[float, ...]
    stride: int = 1
    enough: float = 1.0
    least_gain: float = 0.001


def window_transform(window: Window) -> Float32[np.ndarray, "2 3"]:
    """Return the transform of a square onto a window of another."""
    return np.array(
        [
            [window.right - window.left, 0.0, window.left + window.right - 1.0],
            [0.0, window.bottom - window.top, window.top + window.bottom - 1.0],
        ],
        dtype=np.float32,
    )


def register(
    first: HighPassed,
    index: Int[np.ndarray, " m"],
    second: Float32[np.ndarray, "m side side"],
    transforms: Transforms,
    schedule: Schedule,
) -> tuple[_Correlations, Transforms]:
    """Optimise affine transforms so that the second squares correlate best with the first.

    Gauss-Newton steps on the squared difference of the normalised squares, with gradient and curvature of the first
    square, which are computed once.

    Args:
        first: Different squares ``(n, s, s)``, mean 0 and norm 1.
        index: The first square of each pair ``(m,)``.
        second: The squares to register ``(m, s, s)``, mean 0 and norm 1.
        transforms: The initial transforms.
        schedule: The steps.

    Returns:
        The best correlation within the overlap, and its transforms; -1 where the overlap is small or the transform is
        implausible.

    Reference:
        Baker and Matthews, Lucas-Kanade 20 years on, IJCV 56 (2004), section 3.2 (inverse compositional).
    """
    side, stride = first.shape[1], schedule.stride
    target = _strided(first, stride)[index]
    best, sampled, within = _compare_at(target, second, transforms, stride)
    best_transforms = transforms.copy()
    left = np.flatnonzero((best >= schedule.minima[0]) & (best < schedule.enough))
    if len(schedule.minima) == 1 or left.size == 0:
        return best, best_transforms
    slopes = _slopes(first, stride)
    inverse = _inverse_curvature(slopes, side, stride)
    current, sampled, within = transforms[left], sampled[left], within[left]
    for minimum in schedule.minima[1:]:
        error = _difference(target[left], sampled, within)
        descent = (slopes[index[left]] * error[:, None]) @ _points(side, stride).T
        update = inverse[index[left]] @ descent.reshape(-1, 6, 1)
        current = _composed(current, update.reshape(-1, 2, 3))
        correlation, sampled, within = _compare_at(target[left], second[left], current, stride)
        gain = correlation - best[left]
        better = gain > 0
        best[left[better]], best_transforms[left[better]] = correlation[better], current[better]
        going = (gain > schedule.least_gain) & (correlation >= minimum)
        if not going.any():
            break
        left, current, sampled, within = left[going], current[going], sampled[going], within[going]
    return best, best_transforms


def _compare_at(
    target: _Rows, second: HighPassed, transforms: Transforms, stride: int
) -> tuple[_Correlations, _Rows, _Rows]:
    """Correlate pairs under transforms, -1 where one is implausible; return the samples and the overlap, too."""
    if (transforms == _IDENTITY).all():
        sampled = _strided(second, stride)
        within = np.ones_like(sampled)
        return _correlation(target, sampled, within), sampled, within
    sampled, inside = _sample(second, transforms, stride)
    within = inside.astype(np.float32)
    correlation = _correlation(target, sampled, within)
    return np.where(_plausible(transforms), correlation, np.float32(-1)), sampled, within


def _strided(squares: HighPassed, stride: int) -> _Rows:
    return squares[:, ::stride, ::stride].reshape(len(squares), -1)


@functools.lru_cache(maxsize=8)
def _axis(side: int, stride: int) -> Float32[np.ndarray, " points"]:
    return ((np.arange(0, side, stride) + 0.5) / side * 2 - 1).astype(np.float32)


@functools.lru_cache(maxsize=8)
def _points(side: int, stride: int) -> Float32[np.ndarray, "3 q"]:
    down, across = np.meshgrid(_axis(side, stride), _axis(side, stride), indexing="ij")
    return np.stack([across.ravel(), down.ravel(), np.ones(down.size, dtype=np.float32)])


def _slopes(squares: HighPassed, stride: int) -> _Slopes:
    """Return the derivatives of each point's value by its column and its row."""
    side = squares.shape[1]
    points = np.arange(0, side, stride)
    after, before = np.minimum(points + 1, side - 1), np.maximum(points - 1, 0)
    scale = (side / 2 / (after - before)).astype(np.float32)
    lines, columns = squares[:, ::stride], squares[:, :, ::stride]
    across = (lines[:, :, after] - lines[:, :, before]) * scale
    down = (columns[:, after] - columns[:, before]) * scale[:, None]
    return np.stack([across, down], axis=1).reshape(len(squares), 2, -1)


def _inverse_curvature(slopes: _Slopes, side: int, stride: int) -> Float32[np.ndarray, "pictures 6 6"]:
    points = _points(side, stride)
    moments = (points[:, None] * points).reshape(9, -1).T
    products = np.stack([slopes[:, 0] ** 2, slopes[:, 0] * slopes[:, 1], slopes[:, 1] ** 2], axis=1)
    blocks = (products @ moments).reshape(-1, 3, 3, 3)[:, [[0, 1], [1, 2]]]
    curvature = blocks.transpose(0, 1, 3, 2, 4).reshape(-1, 6, 6)
    # Regularised: squares without structure in one direction have no curvature there.
    weight = np.trace(curvature, axis1=1, axis2=2) / 6e3 + 1e-6
    inverse = np.linalg.inv(curvature + weight[:, None, None] * np.eye(6, dtype=np.float32))
    return np.asarray(inverse, dtype=np.float32)


def _sample(squares: HighPassed, transforms: Transforms, stride: int) -> tuple[_Rows, Bool[np.ndarray, "m q"]]:
    """Sample squares bilinearly, with a mask of the positions inside."""
    count, side, _ = squares.shape
    affine = (transforms * np.float32(side / 2)).transpose(1, 2, 0)[..., None]
    axis = _axis(side, stride)
    rows = affine[:, 1] * axis + (affine[:, 2] + np.float32(side / 2 - 0.5))
    positions = ((affine[:, 0] * axis)[:, :, None] + rows[..., None]).reshape(2, count, -1)
    clipped = np.clip(positions, np.float32(-_EDGE), np.float32(side - 1 + _EDGE))
    within = positions == clipped
    np.clip(clipped, 0, np.float32(side - 1.001), out=positions)
    corner = np.floor(positions, out=clipped)
    positions -= corner
    # Whole numbers below 2 ** 24 are exact.
    places = corner[1] * np.float32(side)
    places += corner[0]
    index = places.astype(np.intp)
    index += (np.arange(count) * (side * side))[:, None]
    values = squares.ravel()
    # All indices are valid; without "clip" each take is checked and buffered, which takes twice as long.
    upper, lower, upper_next, lower_next = (
        values[offset:].take(index, mode="clip") for offset in (0, side, 1, side + 1)
    )
    across, down = positions
    upper += (upper_next - upper) * across
    lower += (lower_next - lower) * across
    upper += (lower - upper) * down
    return upper, within[0] & within[1]


def _correlation(target: _Rows, sampled: _Rows, within: _Rows) -> _Correlations:
    """Correlate the overlap; -1 where it is small."""
    target, sampled = target * within, sampled * within
    points = within.sum(axis=1)
    target_sum, sampled_sum = target.sum(axis=1), sampled.sum(axis=1)
    share = 1 / np.maximum(points, 1)
    product = _row_products(target, sampled) - target_sum * sampled_sum * share
    target_square = _row_products(target, target) - target_sum**2 * share
    sampled_square = _row_products(sampled, sampled) - sampled_sum**2 * share
    correlation = product / np.sqrt(np.maximum(target_square * sampled_square, 1e-18))
    return np.where(points > _OVERLAP * within.shape[1], correlation, np.float32(-1)).astype(np.float32)


def _difference(target: _Rows, sampled: _Rows, within: _Rows) -> _Rows:
    """Return the difference within the overlap after intensity matching."""
    points = np.maximum(within.sum(axis=1, keepdims=True), 1)
    target = (target - _row_products(target, within)[:, None] / points) * within
    sampled = (sampled - _row_products(sampled, within)[:, None] / points) * within
    norms = np.sqrt(_row_products(target, target)), np.sqrt(_row_products(sampled, sampled))
    return np.asarray(sampled * (norms[0] / np.maximum(norms[1], 1e-9))[:, None] - target, dtype=np.float32)


def _row_products(first: _Rows, second: _Rows) -> Float32[np.ndarray, " m"]:
    """Multiply each row by the same row of another matrix."""
    return np.asarray(first[:, None] @ second[:, :, None], dtype=np.float32)[:, 0, 0]


def _plausible(transforms: Transforms) -> Bool[np.ndarray, " m"]:
    # The two singular values of a 2 x 2 matrix, from its sum of squares and its determinant.
    linear = transforms[:, :, :2].astype(np.float64)
    squares = (linear**2).sum(axis=(1, 2))
    area = linear[:, 0, 0] * linear[:, 1, 1] - linear[:, 0, 1] * linear[:, 1, 0]
    half = np.sqrt(np.maximum(squares**2 - 4 * area**2, 0.0))
    largest, smallest = np.sqrt((squares + half) / 2), np.sqrt(np.maximum(squares - half, 0.0) / 2)
    return np.asarray((smallest > _SCALE_RANGE[0]) & (largest < _SCALE_RANGE[1]) & (area > 0))


def _composed(transforms: Transforms, update: Transforms) -> Transforms:
    """Compose the transforms with the inverse of an update."""
    linear, shift = update[:, :, :2] + np.eye(2, dtype=np.float32), update[:, :, 2:]
    # The adjugate over the determinant; updates that are not invertible, of squares without structure, are dropped.
    area = linear[:, 0, 0] * linear[:, 1, 1] - linear[:, 0, 1] * linear[:, 1, 0]
    invertible = (np.abs(area) > 1e-3)[:, None, None]  # noqa: PLR2004 - not 0
    adjugate = linear[:, ::-1, ::-1].transpose(0, 2, 1) * np.array([[1, -1], [-1, 1]], dtype=np.float32)
    inverse = adjugate / np.where(invertible, area[:, None, None], 1)
    undone = transforms[:, :, :2] @ inverse
    composed = np.concatenate([undone, transforms[:, :, 2:] - undone @ shift], axis=2)
    return np.asarray(np.where(invertible, composed, transforms), dtype=np.float32)
