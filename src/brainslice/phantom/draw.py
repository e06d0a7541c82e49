"""One slice of one imagined patient, lesion and all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import UInt8

from brainslice.arrays import Mask
from brainslice.errors import UsageError
from brainslice.phantom.anatomy import BRAINS, Tissues, draw_head
from brainslice.phantom.lesions import choose_seat, draw_lesion
from brainslice.phantom.shapes import GRID, Canvas, Ellipse, Field, Plane, resized, smooth_noise

KINDS: Final = ("glioma", "meningioma", "no_tumor", "pituitary")
"""What can be drawn, in the order of the default classes."""

# Fat, bone, fluid, grey matter, white matter, lesion: T1 with contrast agent, FLAIR, T2.
_SEQUENCES: Final = (
    (0.85, 0.07, 0.10, 0.38, 0.50, 0.85),
    (0.70, 0.07, 0.08, 0.55, 0.44, 0.90),
    (0.60, 0.07, 0.80, 0.50, 0.36, 0.95),
)
_HOW_OFTEN: Final = (0.6, 0.25, 0.15)
_CUTS: Final = 7


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """A drawn slice and where its lesion is.

    Attributes:
        pixels: Grey values ``(h, w)``.
        mask: The lesion ``(h, w)``; nowhere for ``no_tumor``.
    """

    pixels: UInt8[np.ndarray, "h w"]
    mask: Mask


@dataclass(frozen=True, slots=True)
class _Scanner:
    """What a scanner makes of a head: none of it depends on the kind of lesion."""

    side: int
    mirrored: bool
    brightness: float
    contrast: float
    noise: float
    shading: float


@dataclass(frozen=True, slots=True)
class _Head:
    """What all slices of one patient share."""

    plane: Plane
    brain: Ellipse
    turn: float
    shift: tuple[float, float]
    swelling: float
    tissues: Tissues
    seat: Ellipse


def draw_phantom(kind: str, patient: int, slice_number: int, seed: int) -> Phantom:
    """Draw one slice of one head; the same arguments give the same picture.

    Args:
        kind: One of ``KINDS``. A glioma is a ragged ring inside the brain, a meningioma a smooth round bright
            mass at the skull, a pituitary tumour a small bright oval low in the midline.
        patient: The head, 0 or more: shape, plane, grey values and the lesion's place follow from it.
        slice_number: The cut through that head, 0 or more; neighbours look alike.
        seed: Another seed, 0 or more, gives other patients.

    Returns:
        The picture, 180 to 320 pixels a side, and its lesion.

    Raises:
        UsageError: The kind is unknown, or a number is negative.
    """
    if kind not in KINDS or min(patient, slice_number, seed) < 0:
        msg = f"a phantom must be one of {list(KINDS)} with numbers from 0, got {(kind, patient, slice_number, seed)}"
        raise UsageError(msg)
    identity = (seed, KINDS.index(kind), patient)
    rng = np.random.default_rng(identity)
    scanner, head = _choose_scanner(rng), _imagine(kind, rng)
    level = 0.16 * ((slice_number + _CUTS // 2) % _CUTS - _CUTS // 2)
    canvas = _pose(head, level, rng)
    picture = draw_head(canvas, head.tissues, head.swelling * (1.0 - 0.5 * level**2))
    seat = head.seat.scaled(math.sqrt(1.0 - 1.4 * level**2))
    lesion = draw_lesion(picture, canvas, head.tissues, kind, seat)
    return _expose(picture, lesion, scanner, np.random.default_rng((*identity, slice_number)))


def _choose_scanner(rng: np.random.Generator) -> _Scanner:
    return _Scanner(
        side=int(rng.integers(180, 321)),
        mirrored=bool(rng.integers(2)),
        brightness=float(rng.uniform(0.55, 1.0)),
        contrast=float(rng.uniform(0.8, 1.3)),
        noise=float(rng.uniform(0.01, 0.035)),
        shading=float(rng.uniform(0.0, 0.16)),
    )


def _imagine(kind: str, rng: np.random.Generator) -> _Head:
    plane = list(Plane)[int(rng.integers(len(Plane)))]
    width, height = rng.normal(1.0, 0.04, size=2).tolist()
    usual = BRAINS[plane]
    sequence = _SEQUENCES[int(rng.choice(len(_SEQUENCES), p=_HOW_OFTEN))]
    return _Head(
        plane=plane,
        brain=Ellipse(usual.x, usual.y, usual.across * width, usual.down * height),
        turn=float(rng.normal(0.0, 0.07)),
        shift=(float(rng.normal(0.0, 0.03)), float(rng.normal(0.0, 0.03))),
        swelling=float(rng.uniform(0.7, 1.4)),
        tissues=Tissues(*(np.array(sequence) * rng.uniform(0.88, 1.12, size=6)).tolist()),
        seat=choose_seat(kind, plane, rng),
    )


def _pose(head: _Head, level: float, rng: np.random.Generator) -> Canvas:
    """Turn and shift the grid, shrink the brain towards the last cuts, and measure its depth."""
    ticks = np.linspace(-1.0, 1.0, GRID, dtype=np.float32)
    x, y = np.meshgrid(ticks - np.float32(head.shift[0]), ticks - np.float32(head.shift[1]))
    cosine, sine = math.cos(head.turn), math.sin(head.turn)
    x, y = cosine * x + sine * y, cosine * y - sine * x
    brain = head.brain.scaled(1.0 - 0.25 * level**2)
    coarse, fine = smooth_noise(rng, 6, level), smooth_noise(rng, 24, level)
    depth = np.hypot((x - brain.x) / brain.across, (y - brain.y) / brain.down)
    return Canvas(head.plane, x, y, brain, depth * (1.0 + 0.012 * coarse), coarse, fine)


def _expose(picture: Field, lesion: Field, scanner: _Scanner, rng: np.random.Generator) -> Phantom:
    """Let the scanner shade, scale and blur the drawing, and add its noise."""
    hills = np.exp(scanner.shading * smooth_noise(rng, 3))
    seen = np.clip(picture, 0.0, 1.3) ** scanner.contrast * hills
    step = -1 if scanner.mirrored else 1
    seen, covered = resized(seen[:, ::step], scanner.side), resized(lesion[:, ::step], scanner.side)
    # Rician: a scanner keeps the length of a complex signal, each part of which is noisy.
    real, imaginary = scanner.noise * rng.standard_normal((2, *seen.shape), dtype=np.float32)
    length = np.hypot(seen + real, imaginary) * (255.0 * scanner.brightness)
    return Phantom(np.clip(length, 0.0, 255.0).round().astype(np.uint8), covered > 0.5)  # noqa: PLR2004 - half covered
