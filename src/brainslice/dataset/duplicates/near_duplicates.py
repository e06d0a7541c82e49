"""Duplicate detection: exact copies by hash, near-duplicates by registration."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

import numpy as np

from brainslice.array_types import Float32, Int
from brainslice.arrays import Groups, InputBatch
from brainslice.dataset.duplicates.candidate_pairs import WINDOWS, CandidatePairs, find_candidate_pairs
from brainslice.dataset.duplicates.fingerprint import SIDE, WHOLE, Fingerprint, HighPassed, high_pass, rotated
from brainslice.dataset.duplicates.registration import Schedule, Transforms, register, window_transform
from brainslice.dataset.duplicates.similarity import COARSE
from brainslice.progress import Progress, silent

_Stored: TypeAlias = Int[np.ndarray, "pictures side side"]


class DuplicateKind(StrEnum):
    """The kind of a duplicate; ``SIMILAR`` may also be a neighbouring slice of the same head."""

    IDENTICAL = "identical file"
    SAME_PIXELS = "same pixels"
    NEAR = "near copy"
    MIRRORED = "mirrored copy"
    ROTATED = "turned copy"
    SIMILAR = "copy or next slice"


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """A pair of duplicate files.

    Attributes:
        first: Index of the first file.
        second: Index of the second, larger than the first.
        kind: The kind of duplicate.
        correlation: Correlation of the registered fine structure; 1 for exact copies.
    """

    first: int
    second: int
    kind: DuplicateKind
    correlation: float


NEAR_COPY: Final = 0.91
"""Minimum correlation of duplicates. In the public set, none of 11 million pairs of different known patients is above
0.88; copies cropped by up to a tenth on each side are above 0.94."""

SURE_COPY: Final = 0.955
"""Minimum correlation of copies: none of 3,555 pairs of similar slices of one head is above it."""

# Pairs above this correlation are registered already: most copies were neither cropped nor scaled.
_REGISTERED: Final = 0.97
# Rows and columns of the filtered squares, and the registration at this resolution. The minima are below those of pairs
# in the public set and of copies made of its images that end as duplicates; most other pairs are left at once.
_LEVELS: Final = (
    (COARSE, Schedule((0.5, 0.65, 0.75, 0.8, 0.82), enough=_REGISTERED, least_gain=0.005)),
    (SIDE, Schedule((0.56, 0.8, 0.86, 0.89), stride=2, enough=_REGISTERED)),
    (SIDE, Schedule((0.895, NEAR_COPY), enough=_REGISTERED)),
)
_KINDS: Final = {0: DuplicateKind.NEAR, 1: DuplicateKind.MIRRORED}
# 16-bit integers suffice for a correlation and save memory.
_UNIT: Final = 32767
# Points that a thread compares at a time, so that they stay in the processor's cache, and such parts a report.
_POINTS: Final = 1 << 16
_PARTS: Final = 32
_BLOCK: Final = 2048


def find_duplicates(
    fingerprints: Sequence[Fingerprint], progress: Progress = silent, against: Sequence[Fingerprint] = ()
) -> tuple[DuplicatePair, ...]:
    """Find all duplicates, including mirrored, rotated, cropped, rescaled and re-encoded ones.

    Files with the same pixels are paired with the first of them only, which alone is compared with other images; so
    ten equal files make nine pairs.

    Args:
        fingerprints: Fingerprints of the images.
        progress: Called with step, done and total.
        against: Fingerprints of another set, with indices from ``len(fingerprints)``; pairs within it are left out.

    Returns:
        The pairs, sorted by index.
    """
    everything = [*fingerprints, *against]
    exact, distinct = _exact(everything)
    places = np.array(distinct, dtype=np.int64)
    ours = int((places < len(fingerprints)).sum())
    pairs = [pair for pair in exact if pair.first < len(fingerprints)]
    if len(places) > 1 and ours > 0:
        heads = np.stack([everything[place].head for place in distinct])
        frames = np.stack([everything[place].frame for place in distinct])
        candidates = find_candidate_pairs(heads, frames, ours, progress)
        candidates, correlations = _confirmed((heads, frames), candidates, progress)
        pairs += _duplicate_pairs(candidates, correlations, places)
    return tuple(sorted(pairs, key=lambda pair: (pair.first, pair.second)))


def connected_groups(count: int, pairs: Iterable[DuplicatePair]) -> Groups:
    """Number the connected components of duplicate pairs.

    Args:
        count: Number of files.
        pairs: Duplicates among them.

    Returns:
        The group of each file ``(count,)``, numbered by first occurrence.
    """
    return connected_components(count, ((pair.first, pair.second) for pair in pairs))


def connected_components(count: int, edges: Iterable[tuple[int, int]]) -> Groups:
    """Number the connected components of a graph ``(count,)`` by their first node."""
    parents = list(range(count))
    for edge in edges:
        first, second = sorted(_root(parents, node) for node in edge)
        parents[second] = first
    roots = [_root(parents, node) for node in range(count)]
    return np.unique(np.array(roots, dtype=np.int64), return_inverse=True)[1].astype(np.int64).reshape(count)


def _root(parents: list[int], place: int) -> int:
    while parents[place] != place:
        parents[place] = parents[parents[place]]
        place = parents[place]
    return place


def _exact(fingerprints: Sequence[Fingerprint]) -> tuple[list[DuplicatePair], list[int]]:
    """Pair each file with the first of equal pixels, and return these first files."""
    first_with: dict[str, int] = {}
    pairs = []
    for place, each in enumerate(fingerprints):
        first = first_with.setdefault(each.pixel_hash, place)
        if first != place:
            same_file = fingerprints[first].sha256 == each.sha256
            pairs.append(
                DuplicatePair(first, place, DuplicateKind.IDENTICAL if same_file else DuplicateKind.SAME_PIXELS, 1.0)
            )
    return pairs, list(first_with.values())


def _confirmed(
    squares: tuple[InputBatch, InputBatch], candidates: CandidatePairs, progress: Progress
) -> tuple[CandidatePairs, Float32[np.ndarray, " m"]]:
    """Register pairs from coarse to fine, and keep those above every threshold."""
    transforms = np.stack([window_transform(window) for window in WINDOWS])[candidates.window]
    correlations = candidates.similarity
    high_passed: tuple[_Stored, ...] = ()
    for side, schedule in _LEVELS:
        if not high_passed or high_passed[0].shape[1] != side:
            high_passed = tuple(_stored(part, side) for part in squares)
        # Pairs of one image side by side, since its gradient is computed once; those not moved apart, since they need
        # no resampling.
        moved = (transforms != window_transform(WHOLE)).any(axis=(1, 2))
        order = np.lexsort((candidates.turn, candidates.first, candidates.square, moved))
        candidates, transforms = candidates.at(order), transforms[order]
        correlations, transforms = _register_level(high_passed, candidates, transforms, schedule, progress)
        kept = correlations >= schedule.minima[-1]
        candidates, correlations, transforms = candidates.at(kept), correlations[kept], transforms[kept]
    return candidates, correlations


def _register_level(
    high_passed: Sequence[_Stored],
    candidates: CandidatePairs,
    transforms: Transforms,
    schedule: Schedule,
    progress: Progress,
) -> tuple[Float32[np.ndarray, " m"], Transforms]:
    total = len(candidates)
    correlations = np.empty(total, dtype=np.float32)
    improved = np.empty_like(transforms)
    side = high_passed[0].shape[1]
    pairs = _POINTS * schedule.stride**2 // side**2

    def one(start: int) -> None:
        part = slice(start, start + pairs)
        first, index, second = _high_passed_pairs(high_passed, candidates.at(part))
        correlations[part], improved[part] = register(first, index, second, transforms[part], schedule)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, total, _PARTS * pairs):
            stop = min(start + _PARTS * pairs, total)
            list(pool.map(one, range(start, stop, pairs)))
            progress(f"checking pairs at {side} pixels", stop, total)
    return correlations, improved


def _stored(squares: InputBatch, side: int) -> _Stored:
    result = np.empty((len(squares), side, side), dtype=np.int16)
    for start in range(0, len(squares), _BLOCK):
        block = slice(start, start + _BLOCK)
        result[block] = np.rint(high_pass(squares[block], side) * _UNIT)
    return result


def _high_passed_pairs(
    high_passed: Sequence[_Stored], candidates: CandidatePairs
) -> tuple[HighPassed, Int[np.ndarray, " m"], Float32[np.ndarray, "m side side"]]:
    """Return the different first squares, the index of each pair's one, and the second squares."""
    keys, index = np.unique(candidates.first * 2 + candidates.square, return_inverse=True)
    first = _chosen(high_passed, keys // 2, keys % 2)
    second = _chosen(high_passed, candidates.second, candidates.square)
    for turn in np.unique(candidates.turn[candidates.turn > 0]).tolist():
        at = candidates.turn == turn
        second[at] = rotated(second[at], turn)
    unit = np.float32(_UNIT)
    return first.astype(np.float32) / unit, index, second.astype(np.float32) / unit


def _chosen(high_passed: Sequence[_Stored], images: Groups, square: Groups) -> Int[np.ndarray, "n side side"]:
    chosen: np.ndarray = high_passed[0][images]
    whole = square == 1
    chosen[whole] = high_passed[1][images[whole]]
    return chosen


def _duplicate_pairs(
    candidates: CandidatePairs, correlations: Float32[np.ndarray, " m"], places: Groups
) -> Iterator[DuplicatePair]:
    """Make a pair for each two images, with the best rotation."""
    seen: set[tuple[int, int]] = set()
    for row in np.argsort(-correlations, kind="stable").tolist():
        pair = sorted((int(places[candidates.first[row]]), int(places[candidates.second[row]])))
        if (pair[0], pair[1]) not in seen:
            seen.add((pair[0], pair[1]))
            correlation = min(float(correlations[row]), 1.0)
            yield DuplicatePair(pair[0], pair[1], _kind(int(candidates.turn[row]), correlation), correlation)


def _kind(turn: int, correlation: float) -> DuplicateKind:
    if correlation < SURE_COPY:
        return DuplicateKind.SIMILAR
    return _KINDS.get(turn, DuplicateKind.ROTATED)
