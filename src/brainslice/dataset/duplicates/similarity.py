"""Similarities of thousands of images, by products of matrices: of all with all, or within clusters."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from brainslice.array_types import Float32, Int
from brainslice.arrays import InputBatch
from brainslice.dataset.duplicates.fingerprint import MAX_PRODUCT, HighPassed, high_pass

COARSE: Final = 24
"""Rows and columns of the first comparison."""

MIN_FOR_CLUSTERS: Final = 20_000
"""Number of images from which on only those of like clusters are compared, since all pairs would take minutes."""

# A vector is compared with the members of its nearest clusters, of which there are this many times the root of the
# number of images; their centres are found on some thousands of images.
_NEAREST: Final = 8
_CLUSTERS_PER_ROOT: Final = 2.0
_CLUSTERED: Final = 20_000
_ITERATIONS: Final = 8

# Principal components kept of 576; they hold 95 % of the differences between MRI slices.
_COMPONENTS: Final = 128
_MIN_FOR_BASIS: Final = 1000
# Rows of a block of similarities, which stays in the processor's cache; with few columns, several blocks at a time.
_BLOCK: Final = 32
_ROWS: Final = 512

Similarities: TypeAlias = tuple[
    Int[np.ndarray, " rows"], Int[np.ndarray, " columns"], Float32[np.ndarray, "rows columns"]
]
"""Indices of squares, indices of images, and the similarities of each with each."""

_Vectors: TypeAlias = Float32[np.ndarray, "n d"]
_Tiles: TypeAlias = Float32[np.ndarray, "tiles d columns"]


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """All images of one kind.

    Attributes:
        high_passed: The filtered squares.
        basis: Tiles of the principal components; None for few images, which are compared in full.
        vectors: Tiles of the images' vectors of norm 1; of many images, clusters of these vectors.
    """

    high_passed: HighPassed
    basis: _Tiles | None
    vectors: _Tiles | _Clusters

    @classmethod
    def of(cls, squares: InputBatch) -> Images:
        """Filter squares ``(n, s, s)``, and cluster them if there are many."""
        high_passed = high_pass(squares, COARSE)
        flat = high_passed.reshape(len(high_passed), -1)
        basis = _tiled(_basis(flat)) if len(flat) > _MIN_FOR_BASIS else None
        vectors = _vectors(flat, basis)
        many = len(vectors) >= MIN_FOR_CLUSTERS
        return cls(high_passed, basis, _Clusters.of(vectors) if many else _tiled(vectors))

    @property
    def clustered(self) -> bool:
        """Whether only images of like clusters are compared."""
        return isinstance(self.vectors, _Clusters)

    def similarities(self, others: HighPassed, earlier: int | None = None) -> Iterator[Similarities]:
        """Compare other squares with the images, a block after the other.

        Args:
            others: The squares.
            earlier: If given, only images before the block's last one are needed, and of the first ``earlier`` ones.

        Yields:
            Indices of squares, indices of images, and their similarities, valid until the next block; -1 for a square
            and the image of its index.
        """
        vectors = _vectors(others.reshape(len(others), -1), self.basis)
        if isinstance(self.vectors, _Clusters):
            yield from self.vectors.similarities(vectors)
            return
        tiles, _, width = self.vectors.shape
        images = np.arange(len(vectors))
        # One buffer: the pages of a new one would be cleared each time, which takes longer than the product.
        buffer = np.empty(_BLOCK * tiles * width, dtype=np.float32)
        for start in range(0, len(vectors), _BLOCK):
            block = vectors[start : start + _BLOCK]
            needed = tiles if earlier is None else -(-min(start + len(block), earlier) // width)
            rows, columns = images[start : start + len(block)], images[: needed * width]
            similarity = _product(block, self.vectors[:needed], buffer)[:, : len(columns)]
            own = rows[: max(0, len(columns) - start)]
            similarity[own - start, own] = -1
            yield rows, columns, similarity


@dataclass(frozen=True, slots=True, eq=False)
class _Clusters:
    """Clusters of vectors, each of which belongs to one.

    Attributes:
        centres: Tiles of the centres.
        members: The indices of each cluster's vectors, ascending.
        tiles: Tiles of each cluster's vectors.
        cluster: The cluster of each vector.
        place: The place of each vector among the members of its cluster.
    """

    centres: _Tiles
    members: list[Int[np.ndarray, " _"]]
    tiles: list[Float32[np.ndarray, "_ d columns"]]
    cluster: Int[np.ndarray, " n"]
    place: Int[np.ndarray, " n"]

    @classmethod
    def of(cls, vectors: _Vectors) -> _Clusters:
        """Cluster vectors of norm 1 by their cosines, with centres found on some thousands of them."""
        count = round(_CLUSTERS_PER_ROOT * math.sqrt(len(vectors)))
        some = vectors[:: -(-len(vectors) // _CLUSTERED)]
        centres = some[np.linspace(0, len(some) - 1, count).astype(np.intp)]
        for _ in range(_ITERATIONS):
            nearest = _nearest(some, _tiled(centres), count, 1)[:, 0]
            sums = np.zeros_like(centres)
            np.add.at(sums, nearest, some)
            # A cluster without vectors keeps its centre.
            centres = np.where(np.isin(np.arange(count), nearest)[:, None], _normalised(sums), centres)
        cluster = _nearest(vectors, _tiled(centres), count, 1)[:, 0]
        members = [np.flatnonzero(cluster == each) for each in range(count)]
        place = np.empty(len(vectors), dtype=np.int64)
        for each in members:
            place[each] = np.arange(len(each))
        return cls(_tiled(centres), members, [_tiled(vectors[each]) for each in members], cluster, place)

    def similarities(self, vectors: _Vectors) -> Iterator[Similarities]:
        """Compare vectors with the members of their nearest clusters; a vector's own similarity is -1."""
        probed = _nearest(vectors, self.centres, len(self.members), _NEAREST)
        order = np.argsort(probed, axis=None, kind="stable")
        bounds = np.searchsorted(probed.ravel()[order], np.arange(len(self.members) + 1))
        widest = max(tiles.shape[0] * tiles.shape[2] for tiles in self.tiles)
        buffer = np.empty(_ROWS * widest, dtype=np.float32)
        for number, (members, tiles) in enumerate(zip(self.members, self.tiles, strict=True)):
            rows = order[bounds[number] : bounds[number + 1]] // probed.shape[1]
            for start in range(0, len(rows) if len(members) else 0, _ROWS):
                some = rows[start : start + _ROWS]
                block = _product(vectors[some], tiles, buffer)[:, : len(members)]
                own = np.flatnonzero(self.cluster[some] == number)
                block[own, self.place[some[own]]] = -1
                yield some, members, block


def _nearest(vectors: _Vectors, centres: _Tiles, count: int, kept: int) -> Int[np.ndarray, "n kept"]:
    """Return the nearest of ``count`` centres of each vector."""
    buffer = np.empty(_ROWS * centres.shape[0] * centres.shape[2], dtype=np.float32)
    found = np.empty((len(vectors), kept), dtype=np.int64)
    for start in range(0, len(vectors), _ROWS):
        block = slice(start, start + _ROWS)
        found[block] = np.argpartition(_product(vectors[block], centres, buffer)[:, :count], -kept)[:, -kept:]
    return found


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
    return _normalised(flat)


def _normalised(vectors: _Vectors) -> _Vectors:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6), dtype=np.float32)


def _tiled(vectors: _Vectors) -> _Tiles:
    """Arrange vectors in tiles of columns for ``_product``; the last one is filled up with zeros."""
    width = MAX_PRODUCT // _BLOCK // vectors.shape[1]
    padded = np.pad(vectors, ((0, -len(vectors) % width), (0, 0)))
    return np.ascontiguousarray(padded.reshape(-1, width, vectors.shape[1]).transpose(0, 2, 1))


def _product(block: _Vectors, tiles: _Tiles, buffer: Float32[np.ndarray, " _"]) -> Float32[np.ndarray, "rows images"]:
    """Multiply vectors with all vectors in the tiles, into a buffer."""
    rows = min(len(block), _BLOCK)
    parts = -(-len(block) // rows)
    if missing := parts * rows - len(block):
        block = np.pad(block, ((0, missing), (0, 0)))
    shape = (parts, rows, tiles.shape[0], tiles.shape[2])
    product = buffer[: math.prod(shape)].reshape(shape)
    np.matmul(block.reshape(parts, 1, rows, -1), tiles, out=product.transpose(0, 2, 1, 3))
    return product.reshape(parts * rows, -1)[: parts * rows - missing]
