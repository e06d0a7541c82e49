"""Counterfactual pictures of a whole training set, made in several processes.

In public sets every healthy head comes from another collection than every tumour, so a network can learn the collection
instead of the lesion. Twins show a patient's head with and without the lesion; patches put healthy tissue over lesions,
lesions onto healthy heads, and healthy tissue onto healthy tissue, so that neither source nor editing artefact predicts
a class. This module imports no training library, so that worker processes start fast.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from brainslice.array_types import Bool, Int, UInt8
from brainslice.arrays import InputBatch, Labels, Mask, NetworkInput
from brainslice.config import LesionConfig
from brainslice.counterfactual.mirror import MirrorTwins, mirror_sham, mirror_twins
from brainslice.counterfactual.patches import Pictures, change_contrast, find_lesion, find_tissue, lies_on_head, paste
from brainslice.progress import Progress

Rows: TypeAlias = Int[np.ndarray, " _"]
Packed: TypeAlias = UInt8[np.ndarray, "n h w8"]
"""Outlines, eight pixels a byte along the last axis."""

_TISSUE_CANDIDATES: Final = 40
_SHAM_CANDIDATES: Final = 15
_LESION_CANDIDATES: Final = 25
_SHIFT: Final = 25
"""Maximum shift of a lesion's shape for a sham, in pixels of a picture of 224."""

_MIN_FIT: Final = 0.5
"""Minimum correlation on the rim for a lesion to be replaced; below it the seam is visible."""

_CONTRAST_FACTORS: Final = (-0.8, 0.4)

_CHUNK: Final = 32
"""Jobs sent to a process at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class OutlinedScans:
    """A set with outlines, and the part of it that trains.

    Attributes:
        inputs: Network inputs ``(n, size, size)``.
        outlines: Their lesions, packed; all zero where no outline is known.
        labels: Their classes ``(n,)``.
        healthy: Index of the healthy class.
        train: Training rows.
    """

    inputs: InputBatch
    outlines: Packed
    labels: Labels
    healthy: int
    train: Rows

    @property
    def outlined(self) -> Bool[np.ndarray, " n"]:
        """Whether an outline is known, for each scan."""
        return np.asarray(self.outlines.any(axis=(1, 2)))

    def lesion(self, row: int) -> Mask:
        """Unpack the lesion's pixels of one scan ``(size, size)``."""
        return np.unpackbits(self.outlines[row], axis=-1).astype(np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class Counterfactual:
    """One edited picture.

    Attributes:
        picture: Grey values ``(size, size)``.
        lesion: Lesion pixels ``(size, size)``.
        label: The class after the edit.
        sources: Rows of the scans it was made of.
    """

    picture: NetworkInput
    lesion: Mask
    label: int
    sources: tuple[int, ...]


def make_counterfactuals(
    scans: OutlinedScans, settings: LesionConfig, seed: int, progress: Progress, workers: int | None = None
) -> list[Counterfactual]:
    """Make twins and patched pictures of the training scans.

    Args:
        scans: The set, its outlines, and its training rows; other rows are not used.
        settings: Kinds and number of pictures.
        seed: Seed of all random choices.
        progress: Called with the number of jobs done.
        workers: Number of processes, by default one for each core; the result does not depend on it.

    Returns:
        The pictures, in the order of their kinds and rows.
    """
    donors = _Donors.of(scans, seed)
    found = _run(donors, list(donors.jobs(settings)), "making counterfactual pictures", progress, workers)
    return [picture for pictures in found for picture in pictures]


def make_test_twins(
    scans: OutlinedScans, seed: int, progress: Progress, workers: int | None = None
) -> list[tuple[Counterfactual, ...]]:
    """Make the twins of scans that test a model, with a sham where one fits.

    Args:
        scans: The scans; ``train`` lists the rows to use.
        seed: Seed of the shams' places.
        progress: Called with step, done and total.
        workers: Number of processes, by default one for each core; the result does not depend on it.

    Returns:
        For each scan that makes twins: the healthy twin, the lesion twin, and where it fits the sham, which is the
        scan itself with another region of the head mirrored.
    """
    donors = _Donors.of(scans, seed)
    jobs = [("twins_with_sham", row) for row in donors.outlined.tolist()]
    return [tuple(made) for made in _run(donors, jobs, "making mirror twins", progress, workers) if made]


def _run(
    donors: _Donors, jobs: list[tuple[str, int]], step: str, progress: Progress, workers: int | None
) -> list[list[Counterfactual]]:
    workers = min(workers or os.cpu_count() or 1, -(-len(jobs) // _CHUNK))
    if workers < 2:  # noqa: PLR2004 - one process is this one
        return _collect(map(donors.make, jobs), len(jobs), step, progress)
    scans = donors.scans
    with tempfile.TemporaryDirectory() as folder:
        for name in ("inputs", "outlines", "labels", "train"):
            np.save(Path(folder) / f"{name}.npy", getattr(scans, name))
        context = multiprocessing.get_context("spawn")
        make = partial(_make, folder, scans.healthy, donors.seed)
        try:
            with ProcessPoolExecutor(workers, context) as pool:
                return _collect(pool.map(make, jobs, chunksize=_CHUNK), len(jobs), step, progress)
        except BrokenProcessPool:
            # A script without a __main__ guard cannot start worker processes.
            return _collect(map(donors.make, jobs), len(jobs), step, progress)


def _collect(
    found: Iterator[list[Counterfactual]], total: int, step: str, progress: Progress
) -> list[list[Counterfactual]]:
    made = []
    for done, pictures in enumerate(found, start=1):
        made.append(pictures)
        progress(step, done, total)
    return made


def _make(folder: str, healthy: int, seed: int, job: tuple[str, int]) -> list[Counterfactual]:
    return _opened(folder, healthy, seed).make(job)


@lru_cache(maxsize=1)
def _opened(folder: str, healthy: int, seed: int) -> _Donors:
    inputs, outlines, labels, train = (
        np.load(Path(folder) / f"{name}.npy", mmap_mode="r") for name in ("inputs", "outlines", "labels", "train")
    )
    return _Donors.of(OutlinedScans(inputs, outlines, labels, healthy, train), seed)


@dataclass(frozen=True, slots=True, eq=False)
class _Donors:
    """Training scans that pictures are made of."""

    scans: OutlinedScans
    outlined: Rows
    healthy: Rows
    seed: int

    @classmethod
    def of(cls, scans: OutlinedScans, seed: int) -> _Donors:
        train, ill = scans.train, scans.labels[scans.train] != scans.healthy
        return cls(scans, train[scans.outlined[train] & ill], train[~ill], seed)

    def jobs(self, settings: LesionConfig) -> Iterator[tuple[str, int]]:
        """List kinds and rows of all pictures to make."""
        if settings.twins:
            yield from (("twins", row) for row in self.outlined.tolist())
        if len(self.outlined) <= 1:
            return
        generator = np.random.default_rng([self.seed, 11])
        for kind, share, rows in (
            ("without_lesion", settings.patches, self.outlined),
            ("sham_beside_lesion", settings.patches, self.outlined),
            ("sham_on_healthy", settings.patches, self.healthy),
            ("with_lesion", settings.patches, self.healthy),
            ("changed_contrast", settings.contrast, self.outlined),
        ):
            chosen = generator.permutation(rows)[: round(share * len(rows))]
            yield from ((kind, row) for row in sorted(chosen.tolist()))

    def make(self, job: tuple[str, int]) -> list[Counterfactual]:
        """Make the pictures of one kind and row; none where it is not possible."""
        kind, row = job
        methods = {
            "twins": self._twins,
            "twins_with_sham": self._twins_with_sham,
            "without_lesion": self._without_lesion,
            "sham_beside_lesion": self._sham_beside_lesion,
            "sham_on_healthy": self._sham_on_healthy,
            "with_lesion": self._with_lesion,
            "changed_contrast": self._changed_contrast,
        }
        return methods[kind](row)

    def _twins(self, row: int) -> list[Counterfactual]:
        found = mirror_twins(self.scans.inputs[row], self.scans.lesion(row))
        return [] if found is None else self._pair(found, row)

    def _twins_with_sham(self, row: int) -> list[Counterfactual]:
        picture, lesion = self.scans.inputs[row], self.scans.lesion(row)
        found = mirror_twins(picture, lesion)
        if found is None:
            return []
        sham = mirror_sham(picture, lesion, found.midline, np.random.default_rng([self.seed, 16, row]))
        shams = [] if sham is None else [Counterfactual(sham, lesion, int(self.scans.labels[row]), (row,))]
        return [*self._pair(found, row), *shams]

    def _pair(self, found: MirrorTwins, row: int) -> list[Counterfactual]:
        nothing = np.zeros_like(found.outline)
        return [
            Counterfactual(found.healthy, nothing, self.scans.healthy, (row,)),
            Counterfactual(found.lesion, found.outline, int(self.scans.labels[row]), (row,)),
        ]

    def _without_lesion(self, row: int) -> list[Counterfactual]:
        """Replace the lesion by tissue of another patient."""
        generator = np.random.default_rng([self.seed, 12, row])
        target = self.scans.inputs[row]
        chosen = _some(generator, self.outlined[self.outlined != row], _TISSUE_CANDIDATES)
        patch = find_tissue(target, self.scans.lesion(row), self._pictures(chosen))
        if patch is None or patch.fit < _MIN_FIT:
            return []
        picture, sources = paste(target, patch), (row, int(chosen[patch.source]))
        return [Counterfactual(picture, np.zeros(picture.shape, np.bool_), self.scans.healthy, sources)]

    def _sham_beside_lesion(self, row: int) -> list[Counterfactual]:
        """Replace healthy tissue of a tumour scan; its class stays."""
        return self._sham(row, np.random.default_rng([self.seed, 13, row]), self.outlined)

    def _sham_on_healthy(self, row: int) -> list[Counterfactual]:
        """Replace tissue of a healthy scan by healthy tissue of either source."""
        generator = np.random.default_rng([self.seed, 14, row])
        return self._sham(row, generator, self.healthy if generator.random() < 0.6 else self.outlined)  # noqa: PLR2004

    def _with_lesion(self, row: int) -> list[Counterfactual]:
        """Paste a lesion onto a healthy head."""
        generator = np.random.default_rng([self.seed, 15, row])
        target, chosen = self.scans.inputs[row], _some(generator, self.outlined, _LESION_CANDIDATES)
        mirrored = generator.random(len(chosen)) < 0.5  # noqa: PLR2004
        patch = find_lesion(target, self._pictures(chosen), mirrored)
        if patch is None:
            return []
        source = int(chosen[patch.source])
        return [Counterfactual(paste(target, patch), patch.region, int(self.scans.labels[source]), (row, source))]

    def _changed_contrast(self, row: int) -> list[Counterfactual]:
        """Make a lesion darker than its surroundings, or nearly as bright."""
        factor = float(np.random.default_rng([self.seed, 17, row]).uniform(*_CONTRAST_FACTORS))
        picture, lesion = self.scans.inputs[row], self.scans.lesion(row)
        return [Counterfactual(change_contrast(picture, lesion, factor), lesion, int(self.scans.labels[row]), (row,))]

    def _sham(self, row: int, generator: np.random.Generator, donors: Rows) -> list[Counterfactual]:
        target, lesion = self.scans.inputs[row], self.scans.lesion(row)
        model = int(generator.choice(self.outlined))
        shift = generator.integers(-_SHIFT, _SHIFT + 1, 2) * len(target) // 224
        region = np.roll(self.scans.lesion(model), shift, (0, 1))
        if (region & lesion).any() or not lies_on_head(target, region):
            return []
        chosen = _some(generator, donors[donors != row], _SHAM_CANDIDATES)
        patch = find_tissue(target, region, self._pictures(chosen))
        if patch is None:
            return []
        sources = (row, model, int(chosen[patch.source]))
        return [Counterfactual(paste(target, patch), lesion & ~region, int(self.scans.labels[row]), sources)]

    def _pictures(self, rows: Rows) -> Pictures:
        lesions = np.unpackbits(self.scans.outlines[rows], axis=-1).astype(np.bool_)
        return Pictures(self.scans.inputs[rows], lesions)


def _some(generator: np.random.Generator, rows: Rows, most: int) -> Rows:
    return np.asarray(generator.choice(rows, min(most, len(rows)), replace=False))
