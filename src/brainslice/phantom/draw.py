"""Draw a slice of a synthetic patient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from brainslice.array_types import UInt8
from brainslice.arrays import Mask
from brainslice.errors import UsageError
from brainslice.phantom.anatomy import BRAINS, Tissues, draw_head
from brainslice.phantom.lesions import choose_position, draw_lesion
from brainslice.phantom.shapes import GRID, Canvas, Ellipse, Field, Plane, length, resized, smooth_noise

KINDS: Final = ("glioma", "meningioma", "no_tumor", "pituitary")
"""The classes, in default order."""

# Fat, bone, fluid, grey matter, white matter, lesion: T1 with contrast agent, FLAIR, T2.
_SEQUENCES: Final = (
    (0.85, 0.07, 0.10, 0.38, 0.50, 0.85),
    (0.70, 0.07, 0.08, 0.55, 0.44, 0.90),
    (0.60, 0.07, 0.80, 0.50, 0.36, 0.95),
)
_SEQUENCE_SHARES: Final = (0.6, 0.25, 0.15)
_SLICE_LEVELS: Final = 7


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """A drawn slice and its lesion mask.

    Attributes:
        pixels: Grey values ``(h, w)``.
        mask: The lesion ``(h, w)``; empty for ``no_tumor``.
    """

    pixels: UInt8[np.ndarray, "h w"]
    mask: Mask


@dataclass(frozen=True, slots=True)
class _Scanner:
    """Properties of a scanner, independent of the lesion."""

    side: int
    mirrored: bool
    brightness: float
    contrast: float
    noise: float
    shading: float


@dataclass(frozen=True, slots=True)
class _Head:
    """Properties shared by all slices of one patient."""

    plane: Plane
    brain: Ellipse
    turn: float
    shift: tuple[float, float]
    swelling: float
    tissues: Tissues
    position: Ellipse


def draw_phantom(kind: str, patient: int, slice_number: int, seed: int) -> Phantom:
    """Draw one slice of one head; the same arguments give the same image.

    Args:
        kind: One of ``KINDS``. A glioma is a ragged ring inside the brain, a meningioma a smooth round bright
            mass at the skull, a pituitary tumour a small bright oval low in the midline.
        patient: The head, 0 or more: shape, plane, grey values and the lesion's place follow from it.
        slice_number: The cut through that head, 0 or more; neighbours look alike.
        seed: Another seed, 0 or more, gives other patients.

    Returns:
        The image, 180 to 320 pixels a side, and its lesion.

    Raises:
        UsageError: The kind is unknown, or a number is negative.
    """
    if kind not in KINDS or min(patient, slice_number, seed) < 0:
        msg = f"a phantom must be one of {list(KINDS)} with numbers from 0, got {(kind, patient, slice_number, seed)}"
        raise UsageError(msg)
    identity = (seed, KINDS.index(kind), patient)
    rng = np.random.default_rng(identity)
    scanner, head = _choose_scanner(rng), _choose_head(kind, rng)
    level = 0.16 * ((slice_number + _SLICE_LEVELS // 2) % _SLICE_LEVELS - _SLICE_LEVELS // 2)
    canvas = _pose(head, level, rng)
    image = draw_head(canvas, head.tissues, head.swelling * (1.0 - 0.5 * level**2))
    position = head.position.scaled(math.sqrt(1.0 - 1.4 * level**2))
    lesion = draw_lesion(image, canvas, head.tissues, kind, position)
    return _scan_image(image, lesion, scanner, np.random.default_rng((*identity, slice_number)))


def _choose_scanner(rng: np.random.Generator) -> _Scanner:
    return _Scanner(
        side=int(rng.integers(180, 321)),
        mirrored=bool(rng.integers(2)),
        brightness=float(rng.uniform(0.55, 1.0)),
        contrast=float(rng.uniform(0.8, 1.3)),
        noise=float(rng.uniform(0.01, 0.035)),
        shading=float(rng.uniform(0.0, 0.16)),
    )


def _choose_head(kind: str, rng: np.random.Generator) -> _Head:
    plane = list(Plane)[int(rng.integers(len(Plane)))]
    width, height = rng.normal(1.0, 0.04, size=2).tolist()
    average = BRAINS[plane]
    sequence = _SEQUENCES[int(rng.choice(len(_SEQUENCES), p=_SEQUENCE_SHARES))]
    return _Head(
        plane=plane,
        brain=Ellipse(average.x, average.y, average.across * width, average.down * height),
        turn=float(rng.normal(0.0, 0.07)),
        shift=(float(rng.normal(0.0, 0.03)), float(rng.normal(0.0, 0.03))),
        swelling=float(rng.uniform(0.7, 1.4)),
        tissues=Tissues(*(np.array(sequence) * rng.uniform(0.88, 1.12, size=6)).tolist()),
        position=choose_position(kind, plane, rng),
    )


def _pose(head: _Head, level: float, rng: np.random.Generator) -> Canvas:
    """Rotate and shift the grid, shrink the brain towards the outer slices, and compute its depth."""
    ticks = np.linspace(-1.0, 1.0, GRID, dtype=np.float32)
    x, y = np.meshgrid(ticks - np.float32(head.shift[0]), ticks - np.float32(head.shift[1]))
    cosine, sine = math.cos(head.turn), math.sin(head.turn)
    x, y = cosine * x + sine * y, cosine * y - sine * x
    brain = head.brain.scaled(1.0 - 0.25 * level**2)
    coarse, fine = smooth_noise(rng, 6, level), smooth_noise(rng, 24, level)
    depth = length((x - brain.x) / brain.across, (y - brain.y) / brain.down)
    return Canvas(head.plane, x, y, brain, depth * (1.0 + 0.012 * coarse), coarse, fine)


def _scan_image(image: Field, lesion: Field, scanner: _Scanner, rng: np.random.Generator) -> Phantom:
    """Apply shading, contrast, scaling and noise of the scanner."""
    shading = np.exp(scanner.shading * smooth_noise(rng, 3))
    scanned = np.clip(image, 0.0, 1.3) ** scanner.contrast * shading
    step = -1 if scanner.mirrored else 1
    scanned, covered = resized(scanned[:, ::step], scanner.side), resized(lesion[:, ::step], scanner.side)
    # Rician noise: the magnitude of a complex signal with noise in both parts.
    real, imaginary = scanner.noise * rng.standard_normal((2, *scanned.shape), dtype=np.float32)
    grey = length(scanned + real, imaginary) * (255.0 * scanner.brightness)
    return Phantom(np.clip(grey, 0.0, 255.0).round().astype(np.uint8), covered > 0.5)  # noqa: PLR2004 - half covered
