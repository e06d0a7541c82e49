"""What heads are drawn with: a posed grid, soft covers, smooth noise.

Lengths are in half heights of the picture; x grows to the right, y downwards, and (0, 0) is the middle. A field holds
one number for each point of the grid; a cover says how much of a point belongs to a shape, 0 to 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

import numpy as np
from jaxtyping import Float32
from PIL import Image

Field: TypeAlias = Float32[np.ndarray, "points points"]

GRID: Final = 208
"""Side of the grid that everything is drawn on, before it is resized to the picture."""


class Plane(StrEnum):
    """The direction in which a head is cut."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"


@dataclass(frozen=True, slots=True)
class Ellipse:
    """A point and two radii: of the brain, or of something in it."""

    x: float
    y: float
    across: float
    down: float

    def scaled(self, factor: float) -> Ellipse:
        """Keep the point and multiply the radii."""
        return Ellipse(self.x, self.y, self.across * factor, self.down * factor)


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """The grid as one patient's head lies in it, and the brain's own measure of depth.

    Attributes:
        plane: The cut.
        x: Horizontal position of each point.
        y: Vertical position of each point.
        brain: The brain's place.
        depth: Distance from the brain's middle in its radii: 1 at its surface, more outside.
        coarse: Smooth noise, a few lobes across.
        fine: Smooth noise, about as many hills as a brain has gyri.
    """

    plane: Plane
    x: Field
    y: Field
    brain: Ellipse
    depth: Field
    coarse: Field
    fine: Field

    def distance(self, place: Ellipse) -> Field:
        """Measure the distance from a place's middle, in its radii."""
        return np.hypot((self.x - place.x) / place.across, (self.y - place.y) / place.down)

    def oval(self, place: Ellipse, soft: float = 0.2) -> Field:
        """Cover an ellipse whose edge is ``soft`` radii wide."""
        return cover(self.distance(place) - 1.0, soft)

    def in_brain(self, x: float, y: float, across: float, down: float) -> Ellipse:
        """Place something by the brain's radii, so that it moves and grows with the brain."""
        brain = self.brain
        return Ellipse(
            brain.x + x * brain.across,
            brain.y + y * brain.down,
            across * brain.across,
            down * brain.down,
        )


def cover(outside: Field, soft: float = 0.03) -> Field:
    """Turn a distance, negative inside, into how much of each point is covered."""
    return np.clip(0.5 - outside / soft, 0.0, 1.0)


def paint(picture: Field, where: Field, value: float | Field) -> None:
    """Lay a grey value over a picture where a cover says so, in place."""
    picture += where * (value - picture)


def smooth_noise(rng: np.random.Generator, cells: int, level: float = 0.0) -> Field:
    """Draw noise of about unit spread with ``cells`` hills across; levels close together have similar hills."""
    first, second = rng.standard_normal((2, cells, cells), dtype=np.float32)
    mixed = math.cos(level) * first + math.sin(level) * second
    return resized(mixed, GRID)


def resized(field: Float32[np.ndarray, "h w"], side: int) -> Float32[np.ndarray, "side side"]:
    """Resize smoothly to a square."""
    smaller = Image.fromarray(np.ascontiguousarray(field))
    return np.array(smaller.resize((side, side), Image.Resampling.BICUBIC), dtype=np.float32)
