"""A healthy head: face, scalp, skull and brain, in three planes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from brainslice.phantom.shapes import Canvas, Ellipse, Field, Plane, cover, paint

BRAINS: Final = {
    Plane.AXIAL: Ellipse(0.0, 0.0, 0.62, 0.76),
    Plane.CORONAL: Ellipse(0.0, -0.28, 0.58, 0.52),
    Plane.SAGITTAL: Ellipse(0.05, -0.28, 0.70, 0.53),
}
"""Where the brain lies in each plane, and how large it is, before a patient's own proportions."""

# Heights, and the left and right ends of face and neck at each of them.
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
    """How bright each tissue is, 0 to 1: what radiologists call the weighting of a sequence."""

    fat: float
    bone: float
    fluid: float
    grey: float
    white: float
    lesion: float


def draw_head(canvas: Canvas, tissues: Tissues, swelling: float) -> Field:
    """Draw a healthy head.

    Args:
        canvas: The posed grid.
        tissues: The grey values.
        swelling: The size of the ventricles, about 1.

    Returns:
        Grey values of about 0 to 1.
    """
    picture = np.zeros_like(canvas.x)
    if canvas.plane is not Plane.AXIAL:
        _draw_face(picture, canvas, tissues)
    _draw_shells(picture, canvas, tissues)
    _draw_brain(picture, canvas, tissues)
    if canvas.plane is Plane.AXIAL:
        _draw_axial(picture, canvas, tissues, swelling)
    elif canvas.plane is Plane.CORONAL:
        _draw_coronal(picture, canvas, tissues, swelling)
    else:
        _draw_sagittal(picture, canvas, tissues, swelling)
    return picture


def _draw_face(picture: Field, canvas: Canvas, tissues: Tissues) -> None:
    heights, lefts, rights = _PROFILES[canvas.plane]
    left, right = np.interp(canvas.y, heights, lefts), np.interp(canvas.y, heights, rights)
    outside = np.maximum(left - canvas.x, canvas.x - right).astype(np.float32)
    outside = np.maximum(outside, heights[0] - canvas.y)
    strands = np.sqrt(np.abs(canvas.fine) + 0.1) * (1.0 + 0.5 * canvas.coarse)
    flesh = np.clip(0.5 * tissues.grey + 0.25 * tissues.fat * strands, 0.0, 1.0)
    paint(picture, cover(outside), tissues.fat)
    paint(picture, cover(outside + 0.05 + 0.02 * canvas.coarse, 0.06), flesh)
    for hole in _AIR[canvas.plane]:
        paint(picture, cover(canvas.distance(hole) + 0.12 * canvas.fine - 1.0, 0.4), 0.03)
    if canvas.plane is Plane.SAGITTAL:
        tongue = Ellipse(-0.42, 0.72, 0.24, 0.16)
        paint(picture, canvas.oval(tongue, soft=0.4), 0.9 * tissues.grey + 0.05 * canvas.fine)


def _draw_shells(picture: Field, canvas: Canvas, tissues: Tissues) -> None:
    """Draw scalp, skull with its marrow, and the fluid around the brain."""
    depth = canvas.depth
    scalp, bone = cover(depth - 1.21), cover(depth - 1.12)
    if canvas.plane is not Plane.AXIAL:
        # Below the brain there is a face and no scalp.
        scalp *= cover(canvas.y - canvas.brain.y - 0.55 * canvas.brain.down, 0.3)
    paint(picture, scalp, tissues.fat * (1.0 - 0.12 * np.abs(canvas.fine)))
    paint(picture, bone, tissues.bone)
    marrow = cover(np.abs(depth - 1.085 + 0.005 * canvas.coarse) - 0.012) * (0.6 + 0.2 * canvas.coarse)
    paint(picture, np.clip(marrow, 0.0, 1.0), 0.6 * tissues.fat)
    paint(picture, cover(depth - 1.04), tissues.fluid)


def _draw_brain(picture: Field, canvas: Canvas, tissues: Tissues) -> None:
    """Draw cortex with its folds, and the white matter inside."""
    depth, fine = canvas.depth, canvas.fine
    paint(picture, cover(depth - 1.0), tissues.grey)
    core = cover(depth - 0.82 + 0.20 * fine, 0.14) * cover(depth - 0.97)
    paint(picture, core, tissues.white * (1.0 + 0.03 * canvas.coarse))
    # Folds follow the noise's zero lines, deeper ones where the coarse noise is high.
    reach = np.clip(depth * 3.0 - 1.7 + 0.3 * canvas.coarse, 0.0, 0.85)
    folds = cover(np.abs(fine) - 0.12, 0.2) * reach * cover(depth - 1.02)
    paint(picture, folds, tissues.fluid)


def _draw_axial(picture: Field, canvas: Canvas, tissues: Tissues, swelling: float) -> None:
    _draw_falx(picture, canvas, tissues, 0.30 * canvas.brain.down - np.abs(canvas.y - canvas.brain.y))
    for side in (-1.0, 1.0):
        paint(picture, canvas.oval(canvas.in_brain(side * 0.17, 0.06, 0.15, 0.17), soft=0.4), tissues.grey)
        lentiform = canvas.in_brain(side * 0.36, -0.06, 0.10, 0.17)
        paint(picture, canvas.oval(lentiform, soft=0.4), 0.5 * (tissues.grey + tissues.white))
        _draw_horn(picture, canvas, tissues.fluid, (side * 0.13, -0.24, swelling, side * 0.5))
        _draw_horn(picture, canvas, tissues.fluid, (side * 0.25, 0.34, 0.9 * swelling, -side * 0.6))
    sinus = canvas.in_brain(0.0, 1.0, 0.06, 0.045)
    paint(picture, canvas.oval(sinus, soft=0.5), tissues.fat)


def _draw_coronal(picture: Field, canvas: Canvas, tissues: Tissues, swelling: float) -> None:
    falx_ends = canvas.y - canvas.brain.y + 0.35 * canvas.brain.down
    _draw_falx(picture, canvas, tissues, falx_ends)
    paint(picture, canvas.oval(canvas.in_brain(0.0, 0.62, 0.20, 0.42), soft=0.3), tissues.white)
    third = canvas.in_brain(0.0, 0.26, 0.035 * swelling, 0.16)
    paint(picture, canvas.oval(third, soft=0.4), tissues.fluid)
    for side in (-1.0, 1.0):
        paint(picture, canvas.oval(canvas.in_brain(side * 0.17, 0.20, 0.11, 0.14), soft=0.4), tissues.grey)
        _draw_horn(picture, canvas, tissues.fluid, (side * 0.15, -0.06, swelling, side * 0.7))
        fissure = canvas.distance(canvas.in_brain(side * 0.74, 0.20, 0.22, 0.035))
        paint(picture, cover(fissure + 0.3 * canvas.coarse - 1.0, 0.8), tissues.fluid)
    paint(picture, canvas.oval(canvas.in_brain(0.0, -1.0, 0.07, 0.06), soft=0.5), tissues.fat)


def _draw_sagittal(picture: Field, canvas: Canvas, tissues: Tissues, swelling: float) -> None:
    arch = canvas.distance(canvas.in_brain(0.02, 0.14, 0.46, 0.42))
    upper = cover(canvas.y - canvas.brain.y - 0.24 * canvas.brain.down, 0.12)
    paint(picture, cover(np.abs(arch - 0.74) - 0.12 * swelling, 0.1) * upper, tissues.fluid)
    paint(picture, cover(np.abs(arch - 1.0) - 0.10, 0.08) * upper, min(1.1 * tissues.white, 1.0))
    paint(picture, canvas.oval(canvas.in_brain(0.04, 0.30, 0.19, 0.17), soft=0.3), tissues.grey)
    _draw_cerebellum(picture, canvas, tissues)
    _draw_stem(picture, canvas, tissues)


def _draw_cerebellum(picture: Field, canvas: Canvas, tissues: Tissues) -> None:
    place = canvas.in_brain(0.52, 0.82, 0.36, 0.34)
    rim = canvas.distance(place)
    outside = cover(rim - 1.3, 0.1) * cover(1.0 - canvas.depth)
    paint(picture, outside, tissues.bone)
    paint(picture, cover(rim - 1.07, 0.1), tissues.fluid)
    leaves = np.clip(np.sin(46.0 * canvas.y + 20.0 * canvas.x + 0.6 * canvas.fine) - 0.3, 0.0, 1.0)
    paint(picture, cover(rim - 1.0, 0.1), tissues.grey + 0.5 * (tissues.fluid - tissues.grey) * leaves)
    heart = place.scaled(0.4)
    paint(picture, cover(canvas.distance(heart) + 0.3 * canvas.fine - 1.0, 0.6), tissues.white)


def _draw_stem(picture: Field, canvas: Canvas, tissues: Tissues) -> None:
    """Draw brainstem and cord, leaning backwards as they go down."""
    brain = canvas.brain
    middle = brain.x + 0.12 * brain.across + 0.22 * (canvas.y - brain.y - 0.5 * brain.down)
    pons = np.exp(-(((canvas.y - brain.y - 0.82 * brain.down) / 0.1) ** 2))
    aside = np.abs(canvas.x - middle + 0.03 * pons) - 0.055 - 0.045 * pons
    below = brain.y + 0.42 * brain.down - canvas.y
    stem = np.maximum(aside, below)
    paint(picture, cover(stem - 0.03) * cover(1.0 - canvas.depth), tissues.fluid)
    paint(picture, cover(stem, 0.04), tissues.white * (1.0 + 0.03 * canvas.fine))


def _draw_falx(picture: Field, canvas: Canvas, tissues: Tissues, ends: Field) -> None:
    """Draw the fold between the halves, where ``ends`` is negative."""
    aside = np.abs(canvas.x - canvas.brain.x + 0.008 * canvas.coarse) - 0.006
    paint(picture, cover(aside, 0.025) * cover(ends) * cover(canvas.depth - 1.0), tissues.fluid)


def _draw_horn(picture: Field, canvas: Canvas, fluid: float, horn: tuple[float, float, float, float]) -> None:
    """Draw one horn of a ventricle: where, how large, and how far it leans outwards."""
    x, y, size, lean = horn
    place = canvas.in_brain(x, y, 0.085 * size, 0.24 * size)
    down = (canvas.y - place.y) / place.down
    across = (canvas.x - place.x) / place.across + lean * (down + 0.6 * down * down)
    paint(picture, cover(np.hypot(across, down) - 1.0, 0.3), fluid)
