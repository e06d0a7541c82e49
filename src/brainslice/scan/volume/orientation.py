"""Which way the axes of a stack of voxels run, and how the stack is turned to stand the way a reader expects."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from itertools import permutations

import numpy as np
from jaxtyping import Float64

from brainslice.arrays import Voxels
from brainslice.errors import UnreadableScanError


class Plane(StrEnum):
    """The plane that slices lie in."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"


# A turned stack runs from inferior to superior, its rows from anterior to posterior, and its columns from the
# patient's right to the left, as a radiologist looks at them. Directions here are left, posterior, superior.
_STANDING = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
_PLANES = (Plane.AXIAL, Plane.CORONAL, Plane.SAGITTAL)


@dataclass(frozen=True, slots=True)
class Reorientation:
    """How a stack is turned: which of its axes comes first, and which run the other way.

    Attributes:
        order: The old axis that becomes the first, second and third.
        mirrored: Whether each of the new axes runs against the old one.
        spacing: The step along each of the new axes, in mm.
        tilt: The angle between the slices and the axial plane of the scanner, in degrees.
    """

    order: tuple[int, int, int]
    mirrored: tuple[bool, bool, bool]
    spacing: tuple[float, float, float]
    tilt: float

    def __call__(self, stack: np.ndarray) -> np.ndarray:
        """Turn a stack of three axes; a view, without any copy."""
        steps = tuple(slice(None, None, -1 if mirrored else 1) for mirrored in self.mirrored)
        return stack.transpose(self.order)[steps]

    def undo(self, volume: np.ndarray) -> np.ndarray:
        """Turn a volume back into the stack it was made of; a view, without any copy."""
        steps = tuple(slice(None, None, -1 if mirrored else 1) for mirrored in self.mirrored)
        return volume[steps].transpose(np.argsort(self.order))

    def plane_of(self, axis: int) -> Plane:
        """Name the plane of slices that follow each other along an axis of the stack before it is turned."""
        return _PLANES[self.order.index(axis)]


def reorientation_for(axes: Float64[np.ndarray, "3 3"]) -> Reorientation:
    """Find the turn that brings a stack's axes nearest to superior, posterior and left.

    Args:
        axes: One step along each axis of the stack, in mm towards left, posterior and superior, an axis a row.

    Returns:
        The turn.

    Raises:
        UnreadableScanError: The axes span no space.
    """
    lengths = np.linalg.norm(axes, axis=1)
    if not (np.isfinite(axes).all() and lengths.min() > 0):
        msg = "the axes of a volume must have finite lengths above 0 mm, got others; export it again"
        raise UnreadableScanError(msg)
    directions = axes / lengths[:, None]
    if abs(np.linalg.det(directions)) < 0.1:  # noqa: PLR2004 - real scans are within a hair of 1
        msg = "the axes of a volume must span three dimensions, got axes that lie in one plane; export it again"
        raise UnreadableScanError(msg)
    towards = _STANDING @ directions.T
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


def reorient(stack: np.ndarray, turn: Reorientation) -> Voxels:
    """Turn a stack and copy it as single-precision numbers, in the order they will be read.

    Values that single precision cannot hold become infinite, and the volume refuses them.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return np.ascontiguousarray(turn(stack), dtype=np.float32)
