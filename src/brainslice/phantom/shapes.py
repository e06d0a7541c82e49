"""Drawing primitives: grid, ellipses, soft covers and smooth noise.

Lengths are in half heights of the image; x grows to the right, y downwards, and (0, 0) is the centre. A field holds
one number for each point of the grid; a cover is the share of each point within a shape, 0 to 1.
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
"""Size of the drawing grid, before resizing to the image."""


class Plane(StrEnum):
    """The slice plane."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"


@dataclass(frozen=True, slots=True)
class Ellipse:
    """A centre and two radii."""

    x: float
    y: float
    across: float
    down: float

    def scaled(self, factor: float) -> Ellipse:
        """Multiply the radii."""
        return Ellipse(self.x, self.y, self.across * factor, self.down * factor)


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """The grid in the coordinates of one patient's head.

    Attributes:
        plane: The slice plane.
        x: Horizontal position of each point.
        y: Vertical position of each point.
        brain: The brain's ellipse.
        depth: Distance from the brain's centre in its radii: 1 at its surface, more outside.
        coarse: Smooth noise at the scale of lobes.
        fine: Smooth noise at the scale of gyri.
    """

    plane: Plane
    x: Field
    y: Field
    brain: Ellipse
    depth: Field
    coarse: Field
    fine: Field

    def distance(self, ellipse: Ellipse) -> Field:
        """Compute the distance from an ellipse's centre, in its radii."""
        return length((self.x - ellipse.x) / ellipse.across, (self.y - ellipse.y) / ellipse.down)

    def oval(self, ellipse: Ellipse, soft: float = 0.2) -> Field:
        """Cover an ellipse whose edge is ``soft`` radii wide."""
        return cover(self.distance(ellipse) - 1.0, soft)

    def in_brain(self, x: float, y: float, across: float, down: float) -> Ellipse:
        """Make an ellipse in units of the brain's radii."""
        brain = self.brain
        return Ellipse(brain.x + x * brain.across, brain.y + y * brain.down, across * brain.across, down * brain.down)


def length(across: Field, down: Field) -> Field:
    """Compute lengths from two parts, in a fraction of the time of ``np.hypot``, which provides for overflow."""
    lengths: Field = np.sqrt(across * across + down * down)
    return lengths


def cover(outside: Field, soft: float = 0.03) -> Field:
    """Convert a distance, negative inside, to a cover."""
    return np.clip(0.5 - outside / soft, 0.0, 1.0)


def paint(image: Field, where: Field, value: float | Field) -> None:
    """Blend a grey value into an image by a cover, in ellipse."""
    image += where * (value - image)


def smooth_noise(rng: np.random.Generator, cells: int, level: float = 0.0) -> Field:
    """Draw noise of about unit deviation on ``cells`` x ``cells``; close levels have similar noise."""
    first, second = rng.standard_normal((2, cells, cells), dtype=np.float32)
    mixed = math.cos(level) * first + math.sin(level) * second
    return resized(mixed, GRID)


def resized(field: Float32[np.ndarray, "h w"], side: int) -> Float32[np.ndarray, "side side"]:
    """Resize bicubically to a square."""
    smaller = Image.fromarray(np.ascontiguousarray(field))
    return np.array(smaller.resize((side, side), Image.Resampling.BICUBIC), dtype=np.float32)
