"""What many slices of one head say together."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from brainslice.arrays import Scores, Voxels
from brainslice.errors import UsageError

_SHARE: Final = 0.1
_FEWEST: Final = 3
# A slice shows head where it is brighter than this, between the darkest and the brightest hundredth of the volume.
_BRIGHT: Final = 1 / 8
# A slice with less than this share of the largest slice's head is an end of it, or empty.
_LEAST_HEAD: Final = 1 / 4
_ENOUGH: Final = 1 << 18


def run_length(slices: int) -> int:
    """Say how many neighbouring slices a tumour must show in: a tenth of the head, at least three, or all."""
    return min(slices, max(_FEWEST, math.ceil(_SHARE * slices)))


def strongest_run(scores: Scores) -> tuple[int, int]:
    """Find the neighbouring slices whose mean is highest.

    A lesion goes on from slice to slice, and a mistake of a classifier of single slices often does not. The mean
    over neighbours keeps a lesion that fills a few slices, which the mean over all would drown; it does not
    multiply doubts the way a noisy-or does, which reaches certainty from any hundred slices at 5 %; and it does
    not hang on one slice the way a maximum does. Being the best of many runs, it is still higher than an
    unchosen run would be.

    Args:
        scores: The probability of any tumour ``(n,)``, slices in their order.

    Returns:
        The first of the slices, and the one after the last.

    Raises:
        UsageError: There is no slice.
    """
    if not len(scores):
        msg = "at least one slice must be judged, got none"
        raise UsageError(msg)
    length = run_length(len(scores))
    sums = np.concatenate([[0.0], np.cumsum(scores, dtype=np.float64)])
    start = int(np.argmax(sums[length:] - sums[:-length]))
    return start, start + length


def slices_with_head(voxels: Voxels) -> list[int]:
    """Find the slices that show enough of a head to be judged.

    Args:
        voxels: Grey values ``(s, h, w)``.

    Returns:
        The slices' numbers from 0, rising; none where the volume is all of one grey.
    """
    step = max(1, math.ceil((voxels.size / _ENOUGH) ** (1 / 3)))
    darkest, brightest = np.percentile(voxels[::step, ::step, ::step].astype(np.float64), [1.0, 99.0])
    if brightest <= darkest:
        return []
    level = darkest + _BRIGHT * (brightest - darkest)
    areas = np.array([np.count_nonzero(layer > level) for layer in voxels])
    return [int(number) for number in np.flatnonzero(areas >= _LEAST_HEAD * areas.max())]
