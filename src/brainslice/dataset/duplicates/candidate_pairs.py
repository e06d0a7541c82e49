"""Candidate pairs of duplicates among thousands of images, from coarse correlations by matrix products."""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

import numpy as np

from brainslice.array_types import Float32, Int
from brainslice.arrays import InputBatch
from brainslice.dataset.duplicates.fingerprint import TURNS, HighPassed, Window, high_pass, rotated
from brainslice.dataset.duplicates.similarity import COARSE, Images
from brainslice.progress import Progress, silent

_CUT: Final = 0.08
WINDOWS: Final = tuple(
    Window(top, bottom, left, right)
    for top, bottom, left, right in itertools.product((0.0, _CUT), (1.0, 1 - _CUT), (0.0, _CUT), (1.0, 1 - _CUT))
)
"""Crops of 8 % on some sides of an image; the first is the whole image."""

# Pairs above this similarity are candidates; copies that were not cropped are above 0.9.
_SIMILAR: Final = 0.8
# Minimum similarity of the best match of an image.
_MIN_BEST: Final = 0.6
# Number of uncropped candidates kept of an image where images are clustered; their number grows with the square else.
_MAX_CANDIDATES: Final = 32

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
    images = [Images.of(squares) for squares in (heads, frames)]
    searches = [partial(_whole, images[square], square, turn, ours) for square in (0, 1) for turn in range(TURNS)]
    searches += [partial(_cropped, images[0], heads, window, ours) for window in range(1, len(WINDOWS))]
    found: list[CandidatePairs] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, candidates in enumerate(pool.map(lambda search: search(), searches), 1):
            found += candidates
            progress("comparing images", done, len(searches))
    candidates = _best_of_each(found)
    return _nearest_of_each(candidates) if images[0].clustered else candidates


def _whole(images: Images, square: int, turn: int, ours: int) -> list[CandidatePairs]:
    found = _similar_pairs(images, rotated(images.high_passed, turn), ours)
    return [_described(found, square, turn, 0)]


def _cropped(images: Images, heads: InputBatch, window: int, ours: int) -> list[CandidatePairs]:
    parts = high_pass(heads, COARSE, WINDOWS[window])
    return [
        _described(_best_pairs(images, rotated(parts, turn), ours), 0, turn, seen)
        for turn, seen in enumerate((window, _opposite(window)))
    ]


def _opposite(window: int) -> int:
    """Return the margins of the mirrored image, with left and right swapped."""
    left, right = window >> 1 & 1, window & 1
    return window & 0b1100 | right << 1 | left


def _similar_pairs(images: Images, others: HighPassed, ours: int) -> _Pairs:
    """Return all pairs above the threshold, each once."""
    found: list[_Pairs] = []
    for rows, columns, similarity in images.similarities(others, earlier=ours):
        row, column = np.divmod(np.flatnonzero(similarity > _SIMILAR), similarity.shape[1])
        first, second, similar = columns[column], rows[row], similarity[row, column]
        kept = first < np.minimum(second, ours)
        found.append((first[kept], second[kept], similar[kept]))
    return _joined(found)


def _best_pairs(images: Images, parts: HighPassed, ours: int) -> _Pairs:
    """Return the best crop of each image, and the best image of each crop."""
    count = len(parts)
    best_value = np.full((2, count), -1, dtype=np.float32)
    best = np.zeros((2, count), dtype=np.int64)
    for rows, columns, similarity in images.similarities(parts):
        # Pairs within the other set are not wanted.
        theirs = np.searchsorted(rows, ours), np.searchsorted(columns, ours)
        similarity[theirs[0] :, theirs[1] :] = -1
        for number, (items, partners, axis) in enumerate(((rows, columns, 1), (columns, rows, 0))):
            value = similarity.max(axis=axis)
            better = np.flatnonzero(value > best_value[number, items])
            some = similarity[better] if axis else similarity[:, better]
            best_value[number, items[better]] = value[better]
            best[number, items[better]] = partners[some.argmax(axis=axis)]
    first = np.concatenate([best[0], np.arange(count)])
    second = np.concatenate([np.arange(count), best[1]])
    similarity = best_value.ravel()
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


def _nearest_of_each(candidates: CandidatePairs) -> CandidatePairs:
    """Keep all crops, and the other pairs that are among the most similar of one of their images."""
    whole = np.flatnonzero(candidates.window == 0)
    image = np.concatenate([candidates.first[whole], candidates.second[whole]])
    order = np.lexsort((-np.tile(candidates.similarity[whole], 2), image))
    ordered = image[order]
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    kept = np.ones(len(candidates), dtype=np.bool_)
    kept[whole] = rank.reshape(2, -1).min(axis=0) < _MAX_CANDIDATES
    return candidates.at(kept)
