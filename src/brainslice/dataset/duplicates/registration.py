"""Affine registration of two images by correlation."""

from __future__ import annotations

import functools
from typing import Final, TypeAlias

import numpy as np

from brainslice.array_types import Bool, Float32
from brainslice.dataset.duplicates.fingerprint import HighPassed, Window

Transforms: TypeAlias = Float32[np.ndarray, "m 2 3"]
"""Affine transforms of points of a square to another, in coordinates from -1 to 1, column before row."""

_Correlations: TypeAlias = Float32[np.ndarray, " m"]
_Rows: TypeAlias = Float32[np.ndarray, "m q"]

# Minimum fraction of overlap for a meaningful correlation.
_OVERLAP: Final = 0.6
# Range of the singular values of plausible transforms.
_SCALE_RANGE: Final = (0.65, 1.55)

_EDGE_TOLERANCE: Final = 0.5

# Gain of correlation below which a step is the last.
_LEAST_GAIN: Final = 0.001


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
    first: HighPassed, second: HighPassed, transforms: Transforms, steps: int, enough: float = 1.0
) -> tuple[_Correlations, Transforms]:
    """Optimise affine transforms so that the second squares correlate best with the first.

    Gauss-Newton steps on the squared difference of the normalised squares, with gradient and curvature of the first
    square, which are computed once. A pair is left alone as soon as a step gains little.

    Args:
        first: Squares ``(m, s, s)``, mean 0 and norm 1.
        second: The squares to register, likewise.
        transforms: The initial transforms.
        steps: Maximum number of iterations.
        enough: Initial correlation above which a pair is not optimised.

    Returns:
        The best correlation within the overlap, and its transforms; -1 where the overlap is small or the transform is
        implausible.

    Reference:
        Baker and Matthews, Lucas-Kanade 20 years on, IJCV 56 (2004), section 3.2 (inverse compositional).
    """
    best, error = _compare_at(first, second, transforms)
    best_transforms = transforms.copy()
    left = np.flatnonzero(best < enough)
    if steps == 0 or left.size == 0:
        return best, best_transforms
    descent = _steepest_descent(first[left])
    inverse = _inverse_curvature(descent)
    current, error = transforms[left], error[left]
    for _ in range(steps):
        update = (inverse @ (descent @ error[:, :, None]))[:, :, 0]
        current = _composed(current, update.reshape(-1, 2, 3))
        correlation, error = _compare_at(first[left], second[left], current)
        gain = correlation - best[left]
        better = gain > 0
        best[left[better]], best_transforms[left[better]] = correlation[better], current[better]
        going = gain > _LEAST_GAIN
        if not going.any():
            break
        left, current, error = left[going], current[going], error[going]
        descent, inverse = descent[going], inverse[going]
    return best, best_transforms


def _compare_at(first: HighPassed, second: HighPassed, transforms: Transforms) -> tuple[_Correlations, _Rows]:
    """Correlate pairs under transforms, -1 where one is implausible, and return the difference in intensity."""
    sampled, inside = _sample(second, transforms @ _points(first.shape[1]))
    correlation, error = _compare(first.reshape(len(first), -1), sampled, inside)
    return np.where(_plausible(transforms), correlation, np.float32(-1)), error


@functools.lru_cache(maxsize=8)
def _points(side: int) -> Float32[np.ndarray, "3 q"]:
    steps = ((np.arange(side) + 0.5) / side * 2 - 1).astype(np.float32)
    down, across = np.meshgrid(steps, steps, indexing="ij")
    return np.stack([across.ravel(), down.ravel(), np.ones(side * side, dtype=np.float32)])


def _steepest_descent(squares: HighPassed) -> Float32[np.ndarray, "m 6 q"]:
    """Return the derivative of each point's value by the six parameters of a transform."""
    count, side, _ = squares.shape
    down, across = np.gradient(squares, axis=(1, 2))
    slopes = np.stack([across.reshape(count, 1, -1), down.reshape(count, 1, -1)], axis=1) * np.float32(side / 2)
    return np.asarray(slopes * _points(side), dtype=np.float32).reshape(count, 6, -1)


def _inverse_curvature(descent: Float32[np.ndarray, "m 6 q"]) -> Float32[np.ndarray, "m 6 6"]:
    curvature = descent @ descent.transpose(0, 2, 1)
    # Regularised: squares without structure in one direction have no curvature there.
    weight = np.trace(curvature, axis1=1, axis2=2) / 6e3 + 1e-6
    inverse = np.linalg.inv(curvature + weight[:, None, None] * np.eye(6, dtype=np.float32))
    return np.asarray(inverse, dtype=np.float32)


def _sample(squares: HighPassed, positions: Float32[np.ndarray, "m 2 q"]) -> tuple[_Rows, Bool[np.ndarray, "m q"]]:
    """Sample squares bilinearly, with a mask of the positions inside."""
    count, side, _ = squares.shape
    # Half a pixel of tolerance at the edge.
    edge = np.float32(1 + _EDGE_TOLERANCE / side)
    within = (positions > -edge) & (positions < edge)
    inside = within[:, 0] & within[:, 1]
    positions = (positions + 1) * np.float32(side / 2) - np.float32(0.5)
    np.clip(positions, 0, side - 1.001, out=positions)
    corner = positions.astype(np.int32)
    positions -= corner
    index = corner[:, 1] * side + corner[:, 0] + (np.arange(count, dtype=np.int32) * (side * side))[:, None]
    values = squares.ravel()
    across, down = positions[:, 0], positions[:, 1]
    # All indices are valid; without "clip" each take is checked and buffered, which takes twice as long.
    upper, lower, upper_next, lower_next = (
        values[offset:].take(index, mode="clip") for offset in (0, side, 1, side + 1)
    )
    upper += (upper_next - upper) * across
    lower += (lower_next - lower) * across
    upper += (lower - upper) * down
    return upper, inside


def _compare(target: _Rows, sampled: _Rows, inside: Bool[np.ndarray, "m q"]) -> tuple[_Correlations, _Rows]:
    """Correlate the overlap, and return the difference after intensity matching."""
    within = inside.astype(np.float32)
    points = np.maximum(within.sum(axis=1, keepdims=True), 1)
    sampled = (sampled - _row_products(sampled, within) / points) * within
    target = (target - _row_products(target, within) / points) * within
    norm_sampled, norm_target = np.sqrt(_row_products(sampled, sampled)), np.sqrt(_row_products(target, target))
    correlation = (_row_products(sampled, target) / np.maximum(norm_sampled * norm_target, 1e-9))[:, 0]
    enough = points[:, 0] > _OVERLAP * within.shape[1]
    error = sampled * (norm_target / np.maximum(norm_sampled, 1e-9)) - target
    return np.where(enough, correlation, np.float32(-1)).astype(np.float32), error


def _row_products(first: _Rows, second: _Rows) -> Float32[np.ndarray, "m 1"]:
    """Multiply each row by the same row of another matrix."""
    return np.asarray(np.einsum("mq,mq->m", first, second), np.float32)[:, None]


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
    bottom = np.broadcast_to(np.array([0, 0, 1], dtype=np.float32), (len(transforms), 1, 3))
    identity = np.eye(3, dtype=np.float32)
    small = np.concatenate([update + identity[:2], bottom], axis=1)
    # Updates that are not invertible, of squares without structure, are dropped.
    invertible = np.where((np.abs(np.linalg.det(small)) > 1e-3)[:, None, None], small, identity)  # noqa: PLR2004 - not 0
    composed = np.concatenate([transforms, bottom], axis=1) @ np.linalg.inv(invertible)
    return np.asarray(composed[:, :2], dtype=np.float32)
