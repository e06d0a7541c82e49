"""Lesions of three kinds: where each grows, and what it looks like."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from brainslice.phantom.anatomy import Tissues
from brainslice.phantom.shapes import Canvas, Ellipse, Field, Plane, cover, paint

# Where the pituitary gland lies, in radii of the brain from its middle.
_SELLAS: Final = {Plane.AXIAL: (0.0, -0.10), Plane.CORONAL: (0.0, 0.88), Plane.SAGITTAL: (-0.24, 0.90)}


def choose_seat(kind: str, plane: Plane, rng: np.random.Generator) -> Ellipse:
    """Choose where a lesion of a kind grows, and how large.

    Returns:
        The point in radii of the brain from its middle; the lesion's own radii in half heights of the picture.
    """
    size, length = float(rng.uniform(0.0, 1.0)), float(rng.uniform(0.85, 1.18))
    if kind == "pituitary":
        x, y = _SELLAS[plane]
        radius = 0.09 + 0.05 * size
        return Ellipse(x, y, radius, 1.25 * radius)
    # Below the brain lies a face, except in axial cuts.
    sweep = math.pi if plane is Plane.AXIAL else 0.42 * math.pi
    angle = float(rng.uniform(-sweep, sweep)) - math.pi / 2
    far = 0.84 if kind == "meningioma" else float(rng.uniform(0.34, 0.54))
    radius = 0.15 + 0.10 * size
    return Ellipse(far * math.cos(angle), far * math.sin(angle), radius * length, radius / length)


def draw_lesion(picture: Field, canvas: Canvas, tissues: Tissues, kind: str, seat: Ellipse) -> Field:
    """Draw a lesion over a healthy head, in place.

    Args:
        picture: The head.
        canvas: The grid it was drawn on.
        tissues: The head's grey values.
        kind: ``glioma``, ``meningioma`` or ``pituitary``; anything else draws nothing.
        seat: What ``choose_seat`` gave.

    Returns:
        The lesion's cover, without the swelling around it.
    """
    brain = canvas.brain
    place = Ellipse(brain.x + seat.x * brain.across, brain.y + seat.y * brain.down, seat.across, seat.down)
    if kind == "glioma":
        return _draw_ring(picture, canvas, tissues, place)
    if kind == "meningioma":
        return _draw_mass(picture, canvas, tissues, place, cover(canvas.depth - 1.03))
    if kind == "pituitary":
        return _draw_mass(picture, canvas, tissues, place, np.ones_like(picture))
    return np.zeros_like(picture)


def _draw_mass(picture: Field, canvas: Canvas, tissues: Tissues, place: Ellipse, room: Field) -> Field:
    whole: Field = cover(canvas.distance(place) + 0.04 * canvas.coarse - 1.0, 0.12) * room
    rim = cover(canvas.distance(place) - 1.12, 0.15) * room
    paint(picture, rim, 0.6 * tissues.grey)
    paint(picture, whole, tissues.lesion * (1.0 + 0.05 * canvas.fine))
    return whole


def _draw_ring(picture: Field, canvas: Canvas, tissues: Tissues, place: Ellipse) -> Field:
    """Draw swelling, a ragged bright rim and a dead core."""
    ragged = canvas.distance(place) + 0.10 * canvas.fine + 0.14 * canvas.coarse
    inside = cover(canvas.depth - 1.0)
    # Water is dark where white matter is the brightest tissue, and bright elsewhere.
    water = 0.55 * tissues.white if tissues.white > tissues.grey else 1.3 * tissues.grey
    paint(picture, cover(ragged - 1.4, 0.5) * inside * 0.9, water)
    whole: Field = cover(ragged - 1.0, 0.15) * inside
    paint(picture, whole, tissues.lesion * (1.0 + 0.12 * canvas.fine))
    paint(picture, cover(ragged + 0.12 * canvas.fine - 0.62, 0.3) * inside, 0.5 * tissues.grey)
    return whole
