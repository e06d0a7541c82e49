"""Candidate pairs of duplicates among thousands of images, from coarse correlations by matrix products."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

import numpy as np

from brainslice.array_types import Float32, Int
from brainslice.arrays import InputBatch
from brainslice.dataset.duplicates.fingerprint import MAX_PRODUCT, TURNS, HighPassed, Window, high_pass, rotated
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
# Rows of a block of similarities, which stays in the processor's cache.
_BLOCK: Final = 32

_Vectors: TypeAlias = Float32[np.ndarray, "n d"]
_Similarities: TypeAlias = Float32[np.ndarray, "rows images"]
_Tiles: TypeAlias = Float32[np.ndarray, "tiles d columns"]
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
    images = [_Images.of(squares) for squares in (heads, frames)]
    searches = [partial(_whole, images[square], square, turn, ours) for square in (0, 1) for turn in range(TURNS)]
    searches += [partial(_cropped, images[0], heads, window, ours) for window in range(1, len(WINDOWS))]
    found: list[CandidatePairs] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, candidates in enumerate(pool.map(lambda search: search(), searches), 1):
            found += candidates
            progress("comparing all with all", done, len(searches))
    return _best_of_each(found)


@dataclass(frozen=True, slots=True, eq=False)
class _Images:
    """All images of one kind.

    Attributes:
        high_passed: The filtered squares.
        basis: Tiles of the principal components; None for few images, which are compared in full.
        vectors: Tiles of the images' vectors of norm 1.
    """

    high_passed: HighPassed
    basis: _Tiles | None
    vectors: _Tiles

    @classmethod
    def of(cls, squares: InputBatch) -> _Images:
        high_passed = high_pass(squares, COARSE)
        flat = high_passed.reshape(len(high_passed), -1)
        basis = _tiled(_basis(flat)) if len(flat) > _MIN_FOR_BASIS else None
        return cls(high_passed, basis, _tiled(_vectors(flat, basis)))

    def similarities(self, others: HighPassed, earlier: int | None = None) -> Iterator[tuple[int, _Similarities]]:
        """Compare other squares with the images, a block after the other.

        Args:
            others: The squares.
            earlier: If given, only images before the block's last one are needed, and of the first ``earlier`` ones.

        Yields:
            The index of the first row of a block, and its similarities, valid until the next one; columns after the
            last image are 0.
        """
        vectors = _vectors(others.reshape(len(others), -1), self.basis)
        tiles, _, width = self.vectors.shape
        # One buffer: the pages of a new one would be cleared each time, which takes longer than the product.
        buffer = np.empty(_BLOCK * tiles * width, dtype=np.float32)
        for start in range(0, len(vectors), _BLOCK):
            block = vectors[start : start + _BLOCK]
            needed = tiles if earlier is None else -(-min(start + len(block), earlier) // width)
            yield start, _product(block, self.vectors[:needed], buffer)


def _whole(images: _Images, square: int, turn: int, ours: int) -> list[CandidatePairs]:
    found = _similar_pairs(images, rotated(images.high_passed, turn), ours)
    return [_described(found, square, turn, 0)]


def _cropped(images: _Images, heads: InputBatch, window: int, ours: int) -> list[CandidatePairs]:
    parts = high_pass(heads, COARSE, WINDOWS[window])
    return [
        _described(_best_pairs(images, rotated(parts, turn), ours), 0, turn, seen)
        for turn, seen in enumerate((window, _opposite(window)))
    ]


def _opposite(window: int) -> int:
    """Return the margins of the mirrored image, with left and right swapped."""
    left, right = window >> 1 & 1, window & 1
    return window & 0b1100 | right << 1 | left


def _basis(flat: _Vectors) -> Float32[np.ndarray, "kept points"]:
    """Compute the principal components of the images."""
    return np.asarray(np.linalg.eigh(flat.T @ flat)[1][:, -_COMPONENTS:].T, dtype=np.float32)


def _vectors(flat: _Vectors, basis: _Tiles | None) -> _Vectors:
    if basis is not None:
        buffer = np.empty(_BLOCK * basis.shape[0] * basis.shape[2], dtype=np.float32)
        kept = np.empty((len(flat), _COMPONENTS), dtype=np.float32)
        for start in range(0, len(flat), _BLOCK):
            block = slice(start, start + _BLOCK)
            kept[block] = _product(flat[block], basis, buffer)[:, :_COMPONENTS]
        flat = kept
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6), dtype=np.float32)


def _tiled(vectors: _Vectors) -> _Tiles:
    """Arrange vectors in tiles of columns for ``_product``; the last one is filled up with zeros."""
    width = MAX_PRODUCT // _BLOCK // vectors.shape[1]
    padded = np.pad(vectors, ((0, -len(vectors) % width), (0, 0)))
    return np.ascontiguousarray(padded.reshape(-1, width, vectors.shape[1]).transpose(0, 2, 1))


def _product(block: _Vectors, tiles: _Tiles, buffer: Float32[np.ndarray, " _"]) -> _Similarities:
    """Multiply a block of vectors with all vectors in the tiles, into a buffer."""
    shape = (len(block), tiles.shape[0], tiles.shape[2])
    product = buffer[: math.prod(shape)].reshape(shape)
    np.matmul(block, tiles, out=product.transpose(1, 0, 2))
    return product.reshape(len(block), -1)


def _similar_pairs(images: _Images, others: HighPassed, ours: int) -> _Pairs:
    """Return all pairs above the threshold, each once."""
    found: list[_Pairs] = []
    for start, similarity in images.similarities(others, earlier=ours):
        row, column = np.divmod(np.flatnonzero(similarity > _SIMILAR), similarity.shape[1])
        earlier = column < np.minimum(row + start, ours)
        row, column = row[earlier], column[earlier]
        found.append((column, row + start, similarity[row, column]))
    return _joined(found)


def _best_pairs(images: _Images, parts: HighPassed, ours: int) -> _Pairs:
    """Return the best crop of each image, and the best image of each crop."""
    found: list[_Pairs] = []
    count = len(parts)
    best = np.full(count, -1, dtype=np.float32)
    best_part = np.zeros(count, dtype=np.int64)
    for start, block in images.similarities(parts):
        part = np.arange(start, start + len(block))
        block[part - start, part] = -1
        # Pairs within the other set are not wanted.
        similarity = block[:, : count if start < ours else ours]
        image = similarity.argmax(axis=1)
        found.append((image, part, similarity[part - start, image]))
        best_value = similarity.max(axis=0)
        better = np.flatnonzero(best_value > best[: len(best_value)])
        best[better], best_part[better] = best_value[better], part[similarity[:, better].argmax(axis=0)]
    found.append((np.arange(count), best_part, best))
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
