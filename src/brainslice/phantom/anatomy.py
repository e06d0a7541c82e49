"""A healthy head: face, scalp, skull and brain, in three planes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from brainslice.phantom.shapes import Canvas, Ellipse, Field, Plane, cover, length, paint

BRAINS: Final = {
    Plane.AXIAL: Ellipse(0.0, 0.0, 0.62, 0.76),
    Plane.CORONAL: Ellipse(0.0, -0.28, 0.58, 0.52),
    Plane.SAGITTAL: Ellipse(0.05, -0.28, 0.70, 0.53),
}
"""Position and size of the brain in each plane, before individual variation."""

# Heights, and the left and right ends of face and neck at these heights.
_PROFILES: Final = {
    Plane.CORONAL: (
        (-0.4, 0.0, 0.3, 0.55, 0.75, 1.0, 1.4),
        (-0.58, -0.64, -0.62, -0.56, -0.47, -0.44, -0.56),
        (0.58, 0.64, 0.62, 0.56, 0.47, 0.44, 0.56),
    ),
    Plane.SAGITTAL: (
        (-0.5, -0.2, 0.08, 0.2, 0.36, 0.42, 0.52, 0.58, 0.66, 0.84, 0.94, 1.0, 1.4),
        (-0.66, -0.75, -0.77, -0.82, -0.95, -0.82, -0.82, -0.86, -0.79, -0.78, -0.66, -0.42, -0.34),
        (0.72, 0.82, 0.84, 0.80, 0.66, 0.62, 0.58, 0.57, 0.56, 0.60, 0.64, 0.66, 0.76),
    ),
}

_AIR: Final = {
    Plane.CORONAL: (
        Ellipse(-0.25, 0.42, 0.13, 0.12),
        Ellipse(0.25, 0.42, 0.13, 0.12),
        Ellipse(-0.06, 0.42, 0.03, 0.15),
        Ellipse(0.06, 0.42, 0.03, 0.15),
    ),
    Plane.SAGITTAL: (
        Ellipse(-0.38, 0.30, 0.10, 0.07),
        Ellipse(-0.52, 0.46, 0.20, 0.06),
        Ellipse(-0.10, 0.72, 0.04, 0.28),
    ),
}


@dataclass(frozen=True, slots=True)
class Tissues:
    """The brightness of each tissue, 0 to 1, in a sequence."""

    fat: float
    bone: float
    fluid: float
    grey: float
    white: float
    lesion: float


def draw_head(canvas: Canvas, tissues: Tissues, swelling: float) -> Field:
    """Draw a healthy head, with grey values of about 0 to 1; ``swelling`` is the size of the ventricles, about 1."""
    image = np.zeros_like(canvas.x)
    if canvas.plane is not Plane.AXIAL:
        _draw_face(image, canvas, tissues)
    _draw_shells(image, canvas, tissues)
    _draw_brain(image, canvas, tissues)
    if canvas.plane is Plane.AXIAL:
        _draw_axial(image, canvas, tissues, swelling)
    elif canvas.plane is Plane.CORONAL:
        _draw_coronal(image, canvas, tissues, swelling)
    else:
        _draw_sagittal(image, canvas, tissues, swelling)
    return image


def _draw_face(image: Field, canvas: Canvas, tissues: Tissues) -> None:
    heights, lefts, rights = _PROFILES[canvas.plane]
    left, right = np.interp(canvas.y, heights, lefts), np.interp(canvas.y, heights, rights)
    outside = np.maximum(left - canvas.x, canvas.x - right).astype(np.float32)
    outside = np.maximum(outside, heights[0] - canvas.y)
    strands = np.sqrt(np.abs(canvas.fine) + 0.1) * (1.0 + 0.5 * canvas.coarse)
    flesh = np.clip(0.5 * tissues.grey + 0.25 * tissues.fat * strands, 0.0, 1.0)
    paint(image, cover(outside), tissues.fat)
    paint(image, cover(outside + 0.05 + 0.02 * canvas.coarse, 0.06), flesh)
    for hole in _AIR[canvas.plane]:
        paint(image, cover(canvas.distance(hole) + 0.12 * canvas.fine - 1.0, 0.4), 0.03)
    if canvas.plane is Plane.SAGITTAL:
        tongue = Ellipse(-0.42, 0.72, 0.24, 0.16)
        paint(image, canvas.oval(tongue, soft=0.4), 0.9 * tissues.grey + 0.05 * canvas.fine)


def _draw_shells(image: Field, canvas: Canvas, tissues: Tissues) -> None:
    """Draw scalp, skull with its marrow, and the fluid around the brain."""
    depth = canvas.depth
    scalp, bone = cover(depth - 1.21), cover(depth - 1.12)
    if canvas.plane is not Plane.AXIAL:
        # Below the brain is the face, without scalp.
        scalp *= cover(canvas.y - canvas.brain.y - 0.55 * canvas.brain.down, 0.3)
    paint(image, scalp, tissues.fat * (1.0 - 0.12 * np.abs(canvas.fine)))
    paint(image, bone, tissues.bone)
    marrow = cover(np.abs(depth - 1.085 + 0.005 * canvas.coarse) - 0.012) * (0.6 + 0.2 * canvas.coarse)
    paint(image, np.clip(marrow, 0.0, 1.0), 0.6 * tissues.fat)
    paint(image, cover(depth - 1.04), tissues.fluid)


def _draw_brain(image: Field, canvas: Canvas, tissues: Tissues) -> None:
    """Draw cortex with its folds, and the white matter inside."""
    depth, fine = canvas.depth, canvas.fine
    paint(image, cover(depth - 1.0), tissues.grey)
    core = cover(depth - 0.82 + 0.20 * fine, 0.14) * cover(depth - 0.97)
    paint(image, core, tissues.white * (1.0 + 0.03 * canvas.coarse))
    # Folds follow the zero lines of the noise, deeper where the coarse noise is high.
    reach = np.clip(depth * 3.0 - 1.7 + 0.3 * canvas.coarse, 0.0, 0.85)
    folds = cover(np.abs(fine) - 0.12, 0.2) * reach * cover(depth - 1.02)
    paint(image, folds, tissues.fluid)


def _draw_axial(image: Field, canvas: Canvas, tissues: Tissues, swelling: float) -> None:
    _draw_falx(image, canvas, tissues, 0.30 * canvas.brain.down - np.abs(canvas.y - canvas.brain.y))
    for side in (-1.0, 1.0):
        paint(image, canvas.oval(canvas.in_brain(side * 0.17, 0.06, 0.15, 0.17), soft=0.4), tissues.grey)
        lentiform = canvas.in_brain(side * 0.36, -0.06, 0.10, 0.17)
        paint(image, canvas.oval(lentiform, soft=0.4), 0.5 * (tissues.grey + tissues.white))
        _draw_horn(image, canvas, tissues.fluid, (side * 0.13, -0.24, swelling, side * 0.5))
        _draw_horn(image, canvas, tissues.fluid, (side * 0.25, 0.34, 0.9 * swelling, -side * 0.6))
    sinus = canvas.in_brain(0.0, 1.0, 0.06, 0.045)
    paint(image, canvas.oval(sinus, soft=0.5), tissues.fat)


def _draw_coronal(image: Field, canvas: Canvas, tissues: Tissues, swelling: float) -> None:
    falx_ends = canvas.y - canvas.brain.y + 0.35 * canvas.brain.down
    _draw_falx(image, canvas, tissues, falx_ends)
    paint(image, canvas.oval(canvas.in_brain(0.0, 0.62, 0.20, 0.42), soft=0.3), tissues.white)
    third = canvas.in_brain(0.0, 0.26, 0.035 * swelling, 0.16)
    paint(image, canvas.oval(third, soft=0.4), tissues.fluid)
    for side in (-1.0, 1.0):
        paint(image, canvas.oval(canvas.in_brain(side * 0.17, 0.20, 0.11, 0.14), soft=0.4), tissues.grey)
        _draw_horn(image, canvas, tissues.fluid, (side * 0.15, -0.06, swelling, side * 0.7))
        fissure = canvas.distance(canvas.in_brain(side * 0.74, 0.20, 0.22, 0.035))
        paint(image, cover(fissure + 0.3 * canvas.coarse - 1.0, 0.8), tissues.fluid)
    paint(image, canvas.oval(canvas.in_brain(0.0, -1.0, 0.07, 0.06), soft=0.5), tissues.fat)


def _draw_sagittal(image: Field, canvas: Canvas, tissues: Tissues, swelling: float) -> None:
    arch = canvas.distance(canvas.in_brain(0.02, 0.14, 0.46, 0.42))
    upper = cover(canvas.y - canvas.brain.y - 0.24 * canvas.brain.down, 0.12)
    paint(image, cover(np.abs(arch - 0.74) - 0.12 * swelling, 0.1) * upper, tissues.fluid)
    paint(image, cover(np.abs(arch - 1.0) - 0.10, 0.08) * upper, min(1.1 * tissues.white, 1.0))
    paint(image, canvas.oval(canvas.in_brain(0.04, 0.30, 0.19, 0.17), soft=0.3), tissues.grey)
    _draw_cerebellum(image, canvas, tissues)
    _draw_stem(image, canvas, tissues)


def _draw_cerebellum(image: Field, canvas: Canvas, tissues: Tissues) -> None:
    ellipse = canvas.in_brain(0.52, 0.82, 0.36, 0.34)
    rim = canvas.distance(ellipse)
    outside = cover(rim - 1.3, 0.1) * cover(1.0 - canvas.depth)
    paint(image, outside, tissues.bone)
    paint(image, cover(rim - 1.07, 0.1), tissues.fluid)
    leaves = np.clip(np.sin(46.0 * canvas.y + 20.0 * canvas.x + 0.6 * canvas.fine) - 0.3, 0.0, 1.0)
    paint(image, cover(rim - 1.0, 0.1), tissues.grey + 0.5 * (tissues.fluid - tissues.grey) * leaves)
    core = ellipse.scaled(0.4)
    paint(image, cover(canvas.distance(core) + 0.3 * canvas.fine - 1.0, 0.6), tissues.white)


def _draw_stem(image: Field, canvas: Canvas, tissues: Tissues) -> None:
    """Draw brainstem and cord, inclined backwards."""
    brain = canvas.brain
    middle = brain.x + 0.12 * brain.across + 0.22 * (canvas.y - brain.y - 0.5 * brain.down)
    pons = np.exp(-(((canvas.y - brain.y - 0.82 * brain.down) / 0.1) ** 2))
    aside = np.abs(canvas.x - middle + 0.03 * pons) - 0.055 - 0.045 * pons
    below = brain.y + 0.42 * brain.down - canvas.y
    stem = np.maximum(aside, below)
    paint(image, cover(stem - 0.03) * cover(1.0 - canvas.depth), tissues.fluid)
    paint(image, cover(stem, 0.04), tissues.white * (1.0 + 0.03 * canvas.fine))


def _draw_falx(image: Field, canvas: Canvas, tissues: Tissues, ends: Field) -> None:
    """Draw the falx where ``ends`` is negative."""
    aside = np.abs(canvas.x - canvas.brain.x + 0.008 * canvas.coarse) - 0.006
    paint(image, cover(aside, 0.025) * cover(ends) * cover(canvas.depth - 1.0), tissues.fluid)


def _draw_horn(image: Field, canvas: Canvas, fluid: float, horn: tuple[float, float, float, float]) -> None:
    """Draw a horn of a ventricle, given by position, size and inclination."""
    x, y, size, lean = horn
    ellipse = canvas.in_brain(x, y, 0.085 * size, 0.24 * size)
    down = (canvas.y - ellipse.y) / ellipse.down
    across = (canvas.x - ellipse.x) / ellipse.across + lean * (down + 0.6 * down * down)
    paint(image, cover(length(across, down) - 1.0, 0.3), fluid)
