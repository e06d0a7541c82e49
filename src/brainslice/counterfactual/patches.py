"""Patches pasted from one picture into another: lesions removed, lesions transplanted, shams.

Pasting leaves artefacts. So that no artefact predicts a class, the same operation is applied to lesions (replaced by
tissue of another patient of the same collection), to healthy tissue (shams), and with lesions onto healthy heads
(transplants).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from brainslice.array_types import Bool
from brainslice.arrays import InputBatch, Mask, NetworkInput
from brainslice.counterfactual.mirror import BACKGROUND, correlation, feathered, widened

Masks: TypeAlias = Bool[np.ndarray, "n h w"]

_INNER: Final = 4
_OUTER: Final = 10
"""Distances in pixels from the region between which the rim lies."""

_MIN_HEAD: Final = 0.9
"""Minimum share of a patch on the head."""

_CONTRAST: Final = (0.6, 1.6)
"""Limits of the factor on a patch's contrast."""

_STEADY: Final = 4.0
"""Added to both standard deviations before they are compared, so that a flat rim does not dominate."""


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Network inputs and the outlines of their lesions.

    Attributes:
        inputs: Grey values ``(n, size, size)``.
        lesions: Lesion pixels ``(n, size, size)``; all False where there is none.
    """

    inputs: InputBatch
    lesions: Masks


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """Part of one picture, to be pasted into another at the same place.

    Attributes:
        source: Row of the donor.
        picture: The donor ``(size, size)``, mirrored where this fits better.
        region: Pixels to paste ``(size, size)``.
        fit: Correlation between donor and target on the rim of the region.
    """

    source: int
    picture: NetworkInput
    region: Mask
    fit: float


def rim(region: Mask) -> Mask:
    """Compute the ring of pixels around a region on which a patch is matched."""
    return np.asarray(widened(region, _OUTER) & ~widened(region, _INNER))


def lies_on_head(picture: NetworkInput, region: Mask) -> bool:
    """Tell whether at least 90 % of a region lies on the head."""
    return bool(region.any()) and float((picture[region] > BACKGROUND).mean()) >= _MIN_HEAD


def find_tissue(target: NetworkInput, region: Mask, donors: Pictures) -> Patch | None:
    """Find lesion-free tissue of another picture that fits a region.

    Args:
        target: The picture to paste into ``(size, size)``.
        region: Pixels to replace ``(size, size)``.
        donors: Pictures to choose from, each as it is and mirrored left to right.

    Returns:
        The patch with the best fit on the rim; None where no candidate has tissue there.
    """
    ring, wide = rim(region), widened(region, _INNER)
    found = []
    for row in range(len(donors.inputs)):
        for step in (1, -1):
            picture, lesion = donors.inputs[row][:, ::step], donors.lesions[row][:, ::step]
            if not (lesion & wide).any() and lies_on_head(picture, wide):
                found.append(Patch(row, picture, region, _fit(picture, target, ring)))
    return _best(found)


def find_lesion(target: NetworkInput, donors: Pictures, mirrored: Bool[np.ndarray, " n"]) -> Patch | None:
    """Find a lesion of another picture that fits a healthy head at the same place.

    Args:
        target: The healthy picture ``(size, size)``.
        donors: Pictures with lesions.
        mirrored: Whether to mirror each donor left to right first.

    Returns:
        The lesion with the best fit on the rim; None where no lesion lies on the head.
    """
    found = []
    for row, flip in enumerate(mirrored.tolist()):
        step = -1 if flip else 1
        picture, lesion = donors.inputs[row][:, ::step], donors.lesions[row][:, ::step]
        if lies_on_head(target, lesion):
            found.append(Patch(row, picture, lesion, _fit(picture, target, rim(lesion))))
    return _best(found)


def paste(target: NetworkInput, patch: Patch) -> NetworkInput:
    """Blend a patch into a picture, its mean and contrast matched to the target's on the rim.

    Args:
        target: Grey values ``(size, size)``.
        patch: What to paste.

    Returns:
        The new picture ``(size, size)``.
    """
    ring, weight = rim(patch.region), feathered(patch.region)
    below, above = target.astype(np.float32), patch.picture.astype(np.float32)
    if ring.any():
        contrast = (below[ring].std() + _STEADY) / (above[ring].std() + _STEADY)
        above = (above - above[ring].mean()) * np.clip(contrast, *_CONTRAST) + below[ring].mean()
    return np.asarray(np.rint(np.clip(below + (above - below) * weight, 0, 255)), np.uint8)


def change_contrast(picture: NetworkInput, region: Mask, factor: float) -> NetworkInput:
    """Scale the difference between a lesion and the mean of its rim on the head.

    Args:
        picture: Grey values ``(size, size)``.
        region: Pixels of the lesion ``(size, size)``.
        factor: 1 changes nothing, 0 removes the difference of the mean, values below 0 invert it.

    Returns:
        The new picture ``(size, size)``; the same where the lesion has no rim on the head.
    """
    ring = rim(region) & (picture > BACKGROUND)
    if not ring.any():
        return picture
    grey = picture.astype(np.float32)
    change = (factor - 1) * (grey - grey[ring].mean()) * feathered(region, 1, 2.0)
    return np.asarray(np.rint(np.clip(grey + change, 0, 255)), np.uint8)


def _best(found: Iterable[Patch]) -> Patch | None:
    return max(found, key=lambda patch: patch.fit, default=None)


def _fit(source: NetworkInput, target: NetworkInput, ring: Mask) -> float:
    return correlation(source[ring].astype(np.float32), target[ring].astype(np.float32))
