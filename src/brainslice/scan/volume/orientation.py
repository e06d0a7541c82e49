"""Anatomical orientation of volumes, and reorientation to a standard one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from itertools import permutations

import numpy as np

from brainslice.array_types import Float64
from brainslice.arrays import Voxels
from brainslice.errors import UnreadableScanError


class Plane(StrEnum):
    """Anatomical planes."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"


# The standard orientation: slices from inferior to superior, rows from anterior to posterior, columns from the
# patient's right to left, as radiologists view them. Directions are LPS (left, posterior, superior).
_STANDARD = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
_PLANES = (Plane.AXIAL, Plane.CORONAL, Plane.SAGITTAL)


@dataclass(frozen=True, slots=True)
class Reorientation:
    """A permutation and mirroring of axes.

    Attributes:
        order: The original axes that become the first, second and third.
        mirrored: Whether each new axis is reversed.
        spacing: The spacing along the new axes, in mm.
        tilt: The angle between the slices and the axial plane of the scanner, in degrees.
    """

    order: tuple[int, int, int]
    mirrored: tuple[bool, bool, bool]
    spacing: tuple[float, float, float]
    tilt: float

    def __call__(self, stack: np.ndarray) -> np.ndarray:
        """Reorient a stack of three axes; the result is a view."""
        steps = tuple(slice(None, None, -1 if mirrored else 1) for mirrored in self.mirrored)
        return stack.transpose(self.order)[steps]

    def undo(self, volume: np.ndarray) -> np.ndarray:
        """Invert the reorientation; the result is a view."""
        steps = tuple(slice(None, None, -1 if mirrored else 1) for mirrored in self.mirrored)
        return volume[steps].transpose(np.argsort(self.order))

    def plane_of(self, axis: int) -> Plane:
        """Return the plane of slices along an original axis."""
        return _PLANES[self.order.index(axis)]


def reorientation_for(axes: Float64[np.ndarray, "3 3"]) -> Reorientation:
    """Find the reorientation that brings a stack's axes nearest to superior, posterior and left.

    Args:
        axes: A row for each axis of the stack: one step along it, in mm, in LPS coordinates.

    Raises:
        UnreadableScanError: The axes do not span three dimensions.
    """
    lengths = np.linalg.norm(axes, axis=1)
    if not (np.isfinite(axes).all() and lengths.min() > 0):
        msg = "the axes of a volume must have finite lengths above 0 mm, got others; export it again"
        raise UnreadableScanError(msg)
    directions = axes / lengths[:, None]
    if abs(np.linalg.det(directions)) < 0.1:  # noqa: PLR2004 - real scans are near 1
        msg = "the axes of a volume must span three dimensions, got axes that lie in one plane; export it again"
        raise UnreadableScanError(msg)
    towards = _STANDARD @ directions.T
    order = max(permutations(range(3)), key=lambda each: sum(abs(towards[row, axis]) for row, axis in enumerate(each)))
    first, second, third = order
    normal = np.cross(directions[second], directions[third])
    upright = abs(normal[2]) / np.linalg.norm(normal)
    return Reorientation(
        order=(first, second, third),
        mirrored=(bool(towards[0, first] < 0), bool(towards[1, second] < 0), bool(towards[2, third] < 0)),
        spacing=(float(lengths[first]), float(lengths[second]), float(lengths[third])),
        tilt=math.degrees(math.acos(min(1.0, float(upright)))),
    )


def reorient(stack: np.ndarray, reorientation: Reorientation) -> Voxels:
    """Reorient a stack and copy it to a contiguous array of single precision.

    Values out of range become infinite, which ``Volume`` refuses.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return np.ascontiguousarray(reorientation(stack), dtype=np.float32)
