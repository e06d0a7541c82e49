"""Candidate pairs of duplicates among thousands of images, from coarse correlations by matrix products."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from brainslice.array_types import Float32, Int
from brainslice.arrays import InputBatch
from brainslice.dataset.duplicates.fingerprint import TURNS, HighPassed, Window, high_pass, rotated
from brainslice.progress import Progress, silent

_CUT: Final = 0.08
WINDOWS: Final = tuple(
    Window(top, bottom, left, right)
    for top, bottom, left, right in itertools.product((0.0, _CUT), (1.0, 1 - _CUT), (0.0, _CUT), (1.0, 1 - _CUT))
)
"""Crops of 8 % on some sides of an image; the first is the whole image."""

COARSE: Final = 24
"""Rows and columns of the first comparison."""

# Pairs above this similarity are candidates; copies that were not cropped are above 0.9.
_SIMILAR: Final = 0.8
# Minimum similarity of the best match of an image.
_MIN_BEST: Final = 0.6
# Principal components kept of 576; they hold 95 % of the differences between MRI slices.
_COMPONENTS: Final = 128
_MIN_FOR_BASIS: Final = 1000
_BLOCK: Final = 1024

_Vectors: TypeAlias = Float32[np.ndarray, "n d"]
_Basis: TypeAlias = Float32[np.ndarray, "points kept"]
_Pairs: TypeAlias = tuple[Int[np.ndarray, " _"], Int[np.ndarray, " _"], Float32[np.ndarray, " _"]]


@dataclass(frozen=True, slots=True, eq=False)
class CandidatePairs:
    """Candidate pairs, each with the transform of highest correlation.

    Attributes:
        first: Index of the first image ``(m,)``.
        second: Index of the second, which is rotated and cropped.
        square: 0 where heads were compared, 1 where whole images were.
        turn: The rotation of the second image, as in ``fingerprint.rotated``.
        window: Index into ``WINDOWS`` of the part of the rotated second image that shows the first.
        similarity: The coarse correlation.
    """

    first: Int[np.ndarray, " m"]
    second: Int[np.ndarray, " m"]
    square: Int[np.ndarray, " m"]
    turn: Int[np.ndarray, " m"]
    window: Int[np.ndarray, " m"]
    similarity: Float32[np.ndarray, " m"]

    def __len__(self) -> int:
        """Count the pairs."""
        return len(self.first)

    def at(self, chosen: np.ndarray | slice) -> CandidatePairs:
        """Select pairs by mask, indices or slice."""
        return CandidatePairs(
            self.first[chosen],
            self.second[chosen],
            self.square[chosen],
            self.turn[chosen],
            self.window[chosen],
            self.similarity[chosen],
        )


def find_candidate_pairs(
    heads: InputBatch, frames: InputBatch, ours: int, progress: Progress = silent
) -> CandidatePairs:
    """Compare all pairs of images under eight flips and rotations, and with crops.

    Args:
        heads: Squares of the heads ``(n, s, s)``.
        frames: Squares of the whole images, likewise.
        ours: Pairs must contain one of the first ``ours`` images.
        progress: Called with step, done and total.

    Returns:
        The candidates; a pair occurs once for each rotation of high similarity.
    """
    total = 2 * (TURNS + len(WINDOWS) - 1)
    found: list[CandidatePairs] = []
    searches = itertools.chain(_whole(heads, 0, ours), _whole(frames, 1, ours), _cropped(heads, ours))
    for done, candidates in enumerate(searches, 1):
        found.append(candidates)
        progress("comparing all with all", done, total)
    return _best_of_each(found)


def _whole(squares: InputBatch, square: int, ours: int) -> Iterator[CandidatePairs]:
    high_passed = high_pass(squares, COARSE)
    basis = _basis(high_passed)
    plain = _vectors(high_passed, basis)
    for turn in range(TURNS):
        other = _vectors(rotated(high_passed, turn), basis)
        yield _described(_similar_pairs(plain, other, ours), square, turn, 0)


def _cropped(heads: InputBatch, ours: int) -> Iterator[CandidatePairs]:
    high_passed = high_pass(heads, COARSE)
    basis = _basis(high_passed)
    plain = _vectors(high_passed, basis)
    for window in range(1, len(WINDOWS)):
        parts = high_pass(heads, COARSE, WINDOWS[window])
        for turn, seen in enumerate((window, _opposite(window))):
            found = _best_pairs(plain, _vectors(rotated(parts, turn), basis), ours)
            yield _described(found, 0, turn, seen)


def _opposite(window: int) -> int:
    """Return the margins of the mirrored image, with left and right swapped."""
    left, right = window >> 1 & 1, window & 1
    return window & 0b1100 | right << 1 | left


def _basis(high_passed: HighPassed) -> _Basis | None:
    """Compute the principal components of the images; None for few images, which are compared in full."""
    flat = high_passed.reshape(len(high_passed), -1)
    if len(flat) <= _MIN_FOR_BASIS:
        return None
    return np.asarray(np.linalg.eigh(flat.T @ flat)[1][:, -_COMPONENTS:], dtype=np.float32)


def _vectors(high_passed: HighPassed, basis: _Basis | None) -> _Vectors:
    flat = high_passed.reshape(len(high_passed), -1)
    vectors = flat if basis is None else flat @ basis
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6), dtype=np.float32)


def _similar_pairs(plain: _Vectors, other: _Vectors, ours: int) -> _Pairs:
    """Return all pairs above the threshold, each once."""
    found: list[_Pairs] = []
    for start in range(0, ours, _BLOCK):
        stop = min(start + _BLOCK, ours)
        similarity = plain[start:stop] @ other[start:].T
        row, column = np.nonzero(similarity > _SIMILAR)
        later = column > row
        row, column = row[later], column[later]
        found.append((row + start, column + start, similarity[row, column]))
    return _joined(found)


def _best_pairs(plain: _Vectors, parts: _Vectors, ours: int) -> _Pairs:
    """Return the best crop of each image, and the best image of each crop."""
    found: list[_Pairs] = []
    best = np.full(len(plain), -1, dtype=np.float32)
    best_part = np.zeros(len(plain), dtype=np.int64)
    for start in range(0, len(parts), _BLOCK):
        part = np.arange(start, min(start + _BLOCK, len(parts)))
        # Pairs within the other set are not wanted.
        similarity = parts[part] @ plain[: len(plain) if start < ours else ours].T
        own = part < similarity.shape[1]
        similarity[np.flatnonzero(own), part[own]] = -1
        image = similarity.argmax(axis=1)
        found.append((image, part, similarity[np.arange(len(part)), image]))
        best_value = similarity.max(axis=0)
        better = np.flatnonzero(best_value > best[: len(best_value)])
        best[better], best_part[better] = best_value[better], part[similarity[:, better].argmax(axis=0)]
    found.append((np.arange(len(plain)), best_part, best))
    first, second, similarity = _joined(found)
    kept = (similarity > _MIN_BEST) & (np.minimum(first, second) < ours)
    return first[kept], second[kept], similarity[kept]


def _joined(found: list[_Pairs]) -> _Pairs:
    first, second, similarity = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return first, second, similarity


def _described(pairs: _Pairs, square: int, turn: int, window: int) -> CandidatePairs:
    first, second, similarity = pairs
    same = [np.full(len(first), value) for value in (square, turn, window)]
    return CandidatePairs(first, second, same[0], same[1], same[2], similarity)


def _best_of_each(found: list[CandidatePairs]) -> CandidatePairs:
    """Keep the best transform of each pair and turn."""
    everything = CandidatePairs(
        *(
            np.concatenate([getattr(part, name) for part in found])
            for name in ("first", "second", "square", "turn", "window", "similarity")
        )
    )
    ordered = everything.at(np.argsort(-everything.similarity, kind="stable"))
    low, high = np.minimum(ordered.first, ordered.second), np.maximum(ordered.first, ordered.second)
    key = (low * (int(high.max(initial=0)) + 1) + high) * TURNS + ordered.turn
    return ordered.at(np.sort(np.unique(key, return_index=True)[1]))
