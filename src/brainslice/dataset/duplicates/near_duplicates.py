"""Duplicate detection: exact copies by hash, near-duplicates by registration."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float16, Float32

from brainslice.arrays import Groups, InputBatch
from brainslice.dataset.duplicates.candidate_pairs import COARSE, WINDOWS, CandidatePairs, find_candidate_pairs
from brainslice.dataset.duplicates.fingerprint import SIDE, Fingerprint, Reliefs, relief, rotated
from brainslice.dataset.duplicates.registration import Transforms, register, window_transform
from brainslice.progress import Progress, silent


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
        first: Place of the one file in the list that was searched.
        second: Place of the other; always after the first.
        kind: How they differ.
        correlation: Of their fine structure, once laid on each other; 1 for exact copies.
    """

    first: int
    second: int
    kind: DuplicateKind
    correlation: float


class _Level(NamedTuple):
    """The settings of one resolution level.

    Attributes:
        side: Rows and columns of the reliefs.
        steps: How often the map is improved.
        least: The correlation below which a pair is dropped.
    """

    side: int
    steps: int
    least: float


NEAR_COPY: Final = 0.91
"""The correlation from which two pictures are one. Of 11 million pairs of different known patients in the public set
none comes above .88; copies of its pictures cropped by up to a tenth on each side come above .94."""

SURE_COPY: Final = 0.955
"""The correlation from which it is no other slice: of 3,555 pairs of alike slices of one head none comes above it."""

_LEVELS: Final = (_Level(COARSE, 5, 0.83), _Level(36, 3, 0.88), _Level(SIDE, 3, NEAR_COPY))
_KINDS: Final = {0: DuplicateKind.NEAR, 1: DuplicateKind.MIRRORED}
# Pairs that agree this well lie on each other already: most copies were neither cropped nor scaled.
_LIES_WELL: Final = 0.97
_CHUNK: Final = 64
_BLOCK: Final = 32 * _CHUNK


def find_duplicates(
    sketches: Sequence[Fingerprint], progress: Progress = silent, against: Sequence[Fingerprint] = ()
) -> tuple[DuplicatePair, ...]:
    """Find all duplicates, including mirrored, rotated, cropped, rescaled and re-encoded ones.

    Files with the same pixels are twins of the first of them, not of each other, and only that first one is
    compared with other pictures; so ten equal files make nine twins.

    Args:
        sketches: The pictures.
        progress: Hears how far it is.
        against: Pictures of another set, counted on from ``len(sketches)``; pairs within it are not looked for.

    Returns:
        The twins, in the order of their places.
    """
    everything = [*sketches, *against]
    exact, distinct = _exact(everything)
    places = np.array(distinct, dtype=np.int64)
    ours = int((places < len(sketches)).sum())
    twins = [twin for twin in exact if twin.first < len(sketches)]
    if len(places) > 1 and ours > 0:
        heads = np.stack([everything[place].head for place in distinct])
        frames = np.stack([everything[place].frame for place in distinct])
        candidates = find_candidate_pairs(heads, frames, ours, progress)
        candidates, correlations = _confirmed((heads, frames), candidates, progress)
        twins += _described(candidates, correlations, places)
    return tuple(sorted(twins, key=lambda twin: (twin.first, twin.second)))


def connected_groups(count: int, twins: Iterable[DuplicatePair]) -> Groups:
    """Number the connected components of duplicate pairs.

    Args:
        count: How many files there are.
        twins: Pairs among them.

    Returns:
        A number for each file ``(count,)``, from 0 in the order of each group's first file.
    """
    parents = list(range(count))
    for twin in twins:
        first, second = sorted((_root(parents, twin.first), _root(parents, twin.second)))
        parents[second] = first
    roots = [_root(parents, place) for place in range(count)]
    return np.unique(np.array(roots, dtype=np.int64), return_inverse=True)[1].astype(np.int64).reshape(count)


def _root(parents: list[int], place: int) -> int:
    while parents[place] != place:
        parents[place] = parents[parents[place]]
        place = parents[place]
    return place


def _exact(sketches: Sequence[Fingerprint]) -> tuple[list[DuplicatePair], list[int]]:
    """Pair each file with the first of equal pixels, and return these first files."""
    firsts: dict[str, int] = {}
    twins = []
    for place, each in enumerate(sketches):
        first = firsts.setdefault(each.pixel_hash, place)
        if first != place:
            same_file = sketches[first].sha256 == each.sha256
            twins.append(
                DuplicatePair(first, place, DuplicateKind.IDENTICAL if same_file else DuplicateKind.SAME_PIXELS, 1.0)
            )
    return twins, list(firsts.values())


def _confirmed(
    squares: tuple[InputBatch, InputBatch], candidates: CandidatePairs, progress: Progress
) -> tuple[CandidatePairs, Float32[np.ndarray, " m"]]:
    """Register pairs from coarse to fine, and keep those above every threshold."""
    maps = np.stack([window_transform(window) for window in WINDOWS])[candidates.window]
    correlations = candidates.similarity
    for level in _LEVELS:
        correlations, maps = _laid_over(squares, candidates, maps, level, progress)
        kept = correlations >= level.least
        candidates, correlations, maps = candidates.at(kept), correlations[kept], maps[kept]
    return candidates, correlations


def _laid_over(
    squares: tuple[InputBatch, InputBatch],
    candidates: CandidatePairs,
    maps: Transforms,
    level: _Level,
    progress: Progress,
) -> tuple[Float32[np.ndarray, " m"], Transforms]:
    # Half precision is ample for a correlation, and these arrays are the largest of all.
    reliefs = [relief(part, level.side).astype(np.float16) for part in squares]
    total = len(candidates)
    correlations = np.empty(total, dtype=np.float32)
    better = np.empty_like(maps)

    def one(start: int) -> None:
        part = slice(start, start + _CHUNK)
        first, second = _pairs(reliefs, candidates.at(part))
        correlations[part], better[part] = _improved(first, second, maps[part], level.steps)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, total, _BLOCK):
            stop = min(start + _BLOCK, total)
            list(pool.map(one, range(start, stop, _CHUNK)))
            progress(f"checking pairs at {level.side} pixels", stop, total)
    return correlations, better


def _improved(
    first: Reliefs, second: Reliefs, maps: Transforms, steps: int
) -> tuple[Float32[np.ndarray, " m"], Transforms]:
    """Register pairs, with more iterations for those of low correlation."""
    correlations, better = register(first, second, maps, 0)
    poor = correlations < _LIES_WELL
    if poor.any():
        correlations[poor], better[poor] = register(first[poor], second[poor], maps[poor], steps)
    return correlations, better


def _pairs(
    reliefs: Sequence[Float16[np.ndarray, "pictures side side"]], candidates: CandidatePairs
) -> tuple[Reliefs, Reliefs]:
    first, second = reliefs[0][candidates.first], reliefs[0][candidates.second]
    framed = candidates.square == 1
    first[framed] = reliefs[1][candidates.first[framed]]
    second[framed] = reliefs[1][candidates.second[framed]]
    for turn in np.unique(candidates.turn).tolist():
        at = candidates.turn == turn
        second[at] = rotated(second[at], turn)
    return first.astype(np.float32), second.astype(np.float32)


def _described(
    candidates: CandidatePairs, correlations: Float32[np.ndarray, " m"], places: Groups
) -> Iterator[DuplicatePair]:
    """Describe each pair by its best turn."""
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
