"""Mirror twins: one head with and without its lesion, made by mirroring one half onto the other.

An axial or coronal head is nearly symmetric. Where the lesion lies in one half, mirroring the healthy half over it
gives a healthy twin, and mirroring the half with the lesion over the other gives a lesion twin. Both have the same
patient, scanner and mirroring artefact; only the lesion differs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from PIL import Image, ImageFilter

from brainslice.array_types import Bool, Float32, Float64, Int
from brainslice.arrays import Mask, NetworkInput

Grey: TypeAlias = Float32[np.ndarray, "h w"]

MIN_SYMMETRY: Final = 0.62
"""Minimum correlation between the two halves of a head that is mirrored."""

_ANGLES: Final = tuple(float(angle) for angle in range(-14, 15, 2))
"""Candidate tilts of the midline, in degrees."""

_REACH: Final = 0.09
"""Maximum distance of the midline from the middle of the head, as a share of the picture's width."""

BACKGROUND: Final = 12.0
"""Grey values up to this are air around the head."""

_CLEARANCE: Final = 4.0
"""Minimum distance in pixels of a lesion from the midline."""

_FEATHER: Final = 3.0
"""Width in pixels of the blend along the midline."""

_ON_HEAD: Final = 0.95
"""Minimum share of a sham's region that lies on the head."""

_TRIES: Final = 30
"""Places tried for a sham."""

_FEWEST: Final = 50
"""Minimum number of pixels for a correlation."""

_FLAT: Final = 1e-6
"""Variance of grey values up to which a picture is constant."""

_KEPT: Final = 0.99
"""Weight from which a pixel is taken to have kept all four neighbours in a rotation."""


@dataclass(frozen=True, slots=True)
class Midline:
    """Symmetry axis of a head.

    Attributes:
        angle: Counter-clockwise rotation of the picture, in degrees, that makes the axis vertical.
        columns: Sum of the column numbers of two pixels that mirror each other; half of it is the axis' column.
        symmetry: Correlation between the head and its mirror image, outside the lesion and its mirror image.
    """

    angle: float
    columns: int
    symmetry: float


@dataclass(frozen=True, slots=True, eq=False)
class MirrorTwins:
    """One head with and without its lesion.

    Attributes:
        healthy: The healthy half on both sides ``(size, size)``.
        lesion: The lesion's half on both sides ``(size, size)``.
        outline: Lesion pixels of the lesion twin ``(size, size)``.
        midline: The axis of mirroring.
    """

    healthy: NetworkInput
    lesion: NetworkInput
    outline: Mask
    midline: Midline


def find_midline(picture: NetworkInput, lesion: Mask) -> Midline | None:
    """Find the axis about which a head is most symmetric, disregarding its lesion.

    Tilts and positions are searched at a quarter of the resolution, then refined at half.

    Args:
        picture: Grey values ``(size, size)``.
        lesion: Lesion pixels ``(size, size)``, excluded together with their mirror image.

    Returns:
        The axis; None where the correlation is below ``MIN_SYMMETRY``, as in sagittal views.
    """
    quarter, outline = _reduced(picture, 4), _reduced(lesion, 4) > 0
    reach = int(2 * _REACH * quarter.shape[1])
    found = [Midline(0.0, 0, -1.0)]
    for angle in _ANGLES:
        occupied = np.flatnonzero((_rotated(quarter, angle) > BACKGROUND).any(axis=0))
        if occupied.size:
            middle = int(occupied[0] + occupied[-1])
            found.append(_best_axis(quarter, outline, angle, np.arange(middle - reach, middle + reach + 1)))
    coarse = _most_symmetric(found)
    if coarse.symmetry < MIN_SYMMETRY:
        return None
    half, outline = _reduced(picture, 2), _reduced(lesion, 2) > 0
    near = 2 * coarse.columns + np.arange(-2, 5)
    fine = _most_symmetric(_best_axis(half, outline, coarse.angle + step, near) for step in (-1.0, 0.0, 1.0))
    return Midline(fine.angle, 2 * fine.columns + 1, fine.symmetry)


def mirror_twins(picture: NetworkInput, lesion: Mask) -> MirrorTwins | None:
    """Make a healthy and a lesion twin of one picture.

    Args:
        picture: Grey values ``(size, size)``.
        lesion: Lesion pixels ``(size, size)``.

    Returns:
        Both twins; None where there is no lesion, the head is not symmetric enough, or the lesion reaches the midline.
    """
    midline = find_midline(picture, lesion) if lesion.any() else None
    if midline is None:
        return None
    upright = _rotated(picture.astype(np.float32), midline.angle)
    outline = _rotated_mask(lesion, midline.angle)
    columns, axis = np.flatnonzero(outline.any(axis=0)), midline.columns / 2
    if not columns.size or (columns[0] <= axis + _CLEARANCE and columns[-1] >= axis - _CLEARANCE):
        return None
    mirrored, inside = _mirrored(upright, midline.columns)
    left = np.clip((axis - np.arange(len(upright))) / _FEATHER + 0.5, 0.0, 1.0).astype(np.float32)
    lesion_side = left if columns[-1] < axis else 1 - left
    both = outline | _mirrored(outline, midline.columns)[0]
    healthy, diseased = (upright + (mirrored - upright) * side * inside for side in (lesion_side, 1 - lesion_side))
    return MirrorTwins(
        healthy=_restored(healthy, picture, midline.angle),
        lesion=_restored(diseased, picture, midline.angle),
        outline=_rotated_mask(both, -midline.angle),
        midline=midline,
    )


def mirror_region(picture: NetworkInput, region: Mask, midline: Midline) -> NetworkInput:
    """Replace a region by its mirror image, with a feathered edge; pixels outside the feather stay as they are.

    Args:
        picture: Grey values ``(size, size)``.
        region: Pixels to replace ``(size, size)``.
        midline: Symmetry axis of the head.
    """
    weight = feathered(region)
    upright = _rotated(picture.astype(np.float32), midline.angle)
    mirrored, inside = _mirrored(upright, midline.columns)
    whole = _restored(np.where(inside, mirrored, upright), picture, midline.angle)
    return _rounded(picture + (whole.astype(np.float32) - picture) * weight)


def mirror_sham(
    picture: NetworkInput, lesion: Mask, midline: Midline, generator: np.random.Generator
) -> NetworkInput | None:
    """Mirror a region of the lesion's shape elsewhere on the head, as the twins are mirrored.

    Args:
        picture: Grey values ``(size, size)``.
        lesion: Lesion pixels ``(size, size)``.
        midline: Symmetry axis of the head.
        generator: Chooses the place.

    Returns:
        The picture ``(size, size)``; None where the shape fits nowhere clear of the lesion and its mirror image.
    """
    taken = widened(lesion, 8) | widened(opposite(lesion, midline), 8)
    rows, columns = np.nonzero(lesion)
    centre = np.array([round(rows.mean()), round(columns.mean())])
    candidates = np.argwhere(picture > BACKGROUND)
    for candidate in generator.choice(candidates, min(_TRIES, len(candidates)), replace=False):
        down, across = rows + (candidate - centre)[0], columns + (candidate - centre)[1]
        if not ((down >= 0) & (down < len(picture)) & (across >= 0) & (across < picture.shape[1])).all():
            continue
        region = np.zeros_like(lesion)
        region[down, across] = True
        if (picture[region] > BACKGROUND).mean() >= _ON_HEAD and not (region & taken).any():
            return mirror_region(picture, region, midline)
    return None


def opposite(region: Mask, midline: Midline) -> Mask:
    """Mirror a region ``(size, size)`` to the other half of the head."""
    upright = _rotated_mask(region, midline.angle)
    return _rotated_mask(_mirrored(upright, midline.columns)[0], -midline.angle)


def feathered(region: Mask, grow: int = 4, radius: float = 3.0) -> Grey:
    """Widen a region and blur its edge, for use as the weight of a blend.

    Args:
        region: Pixels of the region ``(size, size)``.
        grow: Pixels by which it is widened first.
        radius: Standard deviation of the blur, in pixels.

    Returns:
        Weights from 0 to 1 ``(size, size)``.
    """
    wide = Image.fromarray(widened(region, grow).astype(np.uint8) * 255)
    return np.asarray(wide.filter(ImageFilter.GaussianBlur(radius)), np.float32) / np.float32(255)


def widened(region: Mask, by: int) -> Mask:
    """Widen a region by some pixels in every direction."""
    wide = region.copy()
    # One axis after the other, and each shift up to the width reached: Pillow's MaxFilter takes 20 to 80 times as long.
    for lines in (wide, wide.T):
        reached = 0
        while reached < by:
            step = min(reached + 1, by - reached)
            before = lines.copy()
            lines[step:] |= before[:-step]
            lines[:-step] |= before[step:]
            reached += step
    return wide


def correlation(one: Float32[np.ndarray, " n"], other: Float32[np.ndarray, " n"]) -> float:
    """Compute Pearson's correlation of grey values; -1 for fewer than 50 or constant values."""
    if len(one) < _FEWEST:
        return -1.0
    one, other = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((one * one).sum() * (other * other).sum()))
    return float((one * other).sum()) / scale if scale > 0 else -1.0


def _most_symmetric(found: Iterable[Midline]) -> Midline:
    return max(found, key=lambda midline: midline.symmetry)


def _best_axis(picture: Grey, lesion: Mask, angle: float, candidates: Int[np.ndarray, " c"]) -> Midline:
    """Compare the axes of one tilt by the correlation of the halves.

    Sums over pixels and their mirror images are convolutions of rows, so one Fourier transform serves all axes. The
    pixels compared are symmetric about the axis: both halves have the same mean and variance.
    """
    upright = _rotated(picture, angle).astype(np.float64)
    visible = np.where(_rotated_mask(lesion, angle), 0.0, 1.0)
    grey = (upright - upright.mean()) * visible
    count, sums, squares, products = _mirror_sums(np.stack([visible, grey, grey * grey]), upright <= BACKGROUND)
    offset = sums**2 / np.maximum(count, 1)
    variance, covariance = squares - offset, products - offset
    valid = (count >= _FEWEST) & (variance > _FLAT * count)
    symmetry = np.divide(covariance, variance, out=np.full(len(count), -1.0), where=valid)
    inside = candidates[(candidates >= 0) & (candidates < len(count))]
    best = int(inside[symmetry[inside].argmax()]) if inside.size else 0
    return Midline(angle, best, float(symmetry[best]))


def _mirror_sums(fields: Float64[np.ndarray, "3 h w"], background: Mask) -> Float64[np.ndarray, "4 axes"]:
    """Sum products of fields 00, 10, 20 and 11 at mirrored pixels, not both in the background, for every axis."""
    length = 2 * background.shape[1]
    everywhere, outside = np.fft.rfft(fields, length), np.fft.rfft(fields * background, length)
    one, other = [0, 1, 2, 1], [0, 0, 0, 1]
    spectrum = everywhere[one] * everywhere[other] - outside[one] * outside[other]
    return np.asarray(np.fft.irfft(spectrum.sum(axis=1), length))


def _reduced(picture: NetworkInput | Mask, step: int) -> Float32[np.ndarray, "rows columns"]:
    return np.asarray(Image.fromarray(picture.astype(np.float32)).reduce(step))


def _rotated(picture: Grey, angle: float) -> Grey:
    return np.asarray(Image.fromarray(picture).rotate(angle, Image.Resampling.BILINEAR))


def _rotated_mask(mask: Mask, angle: float) -> Mask:
    rotated = Image.fromarray(mask.astype(np.uint8)).rotate(angle, Image.Resampling.NEAREST)
    return np.asarray(rotated) > 0


def _rounded(grey: Grey) -> NetworkInput:
    return np.asarray(np.rint(np.clip(grey, 0, 255)), np.uint8)


def _restored(upright: Grey, picture: NetworkInput, angle: float) -> NetworkInput:
    """Rotate a picture back; pixels that the rotations lost are taken from the original."""
    kept = _rotated(_rotated(np.ones(picture.shape, np.float32), angle), -angle) > _KEPT
    return np.where(kept, _rounded(_rotated(upright, -angle)), picture)


def _mirrored(values: Grey | Mask, columns: int) -> tuple[Grey | Mask, Bool[np.ndarray, " w"]]:
    """Mirror columns ``j`` to ``columns - j``, with which columns have a partner inside the picture."""
    partner = columns - np.arange(values.shape[1])
    inside = (partner >= 0) & (partner < values.shape[1])
    mirrored = np.zeros_like(values)
    mirrored[:, inside] = values[:, partner[inside]]
    return mirrored, inside
