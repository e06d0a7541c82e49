"""Positions and appearance of three kinds of lesions."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from brainslice.phantom.anatomy import Tissues
from brainslice.phantom.shapes import Canvas, Ellipse, Field, Plane, cover, paint

# The position of the pituitary gland, in radii of the brain from its centre.
_SELLAS: Final = {Plane.AXIAL: (0.0, -0.10), Plane.CORONAL: (0.0, 0.88), Plane.SAGITTAL: (-0.24, 0.90)}


def choose_position(kind: str, plane: Plane, rng: np.random.Generator) -> Ellipse:
    """Choose position and size of a lesion.

    Returns:
        The position in radii of the brain from its centre, the lesion's radii in half heights of the image.
    """
    size, length = float(rng.uniform(0.0, 1.0)), float(rng.uniform(0.85, 1.18))
    if kind == "pituitary":
        x, y = _SELLAS[plane]
        radius = 0.09 + 0.05 * size
        return Ellipse(x, y, radius, 1.25 * radius)
    # Below the brain is the face, except in axial slices.
    sweep = math.pi if plane is Plane.AXIAL else 0.42 * math.pi
    angle = float(rng.uniform(-sweep, sweep)) - math.pi / 2
    far = 0.84 if kind == "meningioma" else float(rng.uniform(0.34, 0.54))
    radius = 0.15 + 0.10 * size
    return Ellipse(far * math.cos(angle), far * math.sin(angle), radius * length, radius / length)


def draw_lesion(image: Field, canvas: Canvas, tissues: Tissues, kind: str, position: Ellipse) -> Field:
    """Draw a lesion over a healthy head, in ellipse.

    Args:
        image: The head.
        canvas: Its grid.
        tissues: Its grey values.
        kind: ``glioma``, ``meningioma`` or ``pituitary``; others draw nothing.
        position: From ``choose_position``.

    Returns:
        The cover of the lesion, without oedema.
    """
    brain = canvas.brain
    ellipse = Ellipse(
        brain.x + position.x * brain.across, brain.y + position.y * brain.down, position.across, position.down
    )
    if kind == "glioma":
        return _draw_ring(image, canvas, tissues, ellipse)
    if kind == "meningioma":
        return _draw_mass(image, canvas, tissues, ellipse, cover(canvas.depth - 1.03))
    if kind == "pituitary":
        return _draw_mass(image, canvas, tissues, ellipse, np.ones_like(image))
    return np.zeros_like(image)


def _draw_mass(image: Field, canvas: Canvas, tissues: Tissues, ellipse: Ellipse, region: Field) -> Field:
    whole: Field = cover(canvas.distance(ellipse) + 0.04 * canvas.coarse - 1.0, 0.12) * region
    rim = cover(canvas.distance(ellipse) - 1.12, 0.15) * region
    paint(image, rim, 0.6 * tissues.grey)
    paint(image, whole, tissues.lesion * (1.0 + 0.05 * canvas.fine))
    return whole


def _draw_ring(image: Field, canvas: Canvas, tissues: Tissues, ellipse: Ellipse) -> Field:
    """Draw oedema, an irregular bright rim and a necrotic core."""
    irregular = canvas.distance(ellipse) + 0.10 * canvas.fine + 0.14 * canvas.coarse
    inside = cover(canvas.depth - 1.0)
    # Oedema is dark in sequences with white matter brighter than grey, and bright in others.
    oedema = 0.55 * tissues.white if tissues.white > tissues.grey else 1.3 * tissues.grey
    paint(image, cover(irregular - 1.4, 0.5) * inside * 0.9, oedema)
    whole: Field = cover(irregular - 1.0, 0.15) * inside
    paint(image, whole, tissues.lesion * (1.0 + 0.12 * canvas.fine))
    paint(image, cover(irregular + 0.12 * canvas.fine - 0.62, 0.3) * inside, 0.5 * tissues.grey)
    return whole
