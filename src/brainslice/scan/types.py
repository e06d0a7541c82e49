"""What a scan is once its file has been read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
from jaxtyping import Float32
from PIL import Image

from brainslice.arrays import Pixels, Voxels
from brainslice.errors import UnreadableScanError
from brainslice.scan.input_problem import InputProblem, InputProblemError
from brainslice.scan.volume.orientation import Plane, Reorientation

MOST_PIXELS: Final = 32_000_000
"""Larger pictures are refused by their header: no slice of a head comes near."""

MOST_VOXELS: Final = 64_000_000
"""Larger volumes are refused by their header: 244 slices of 512 x 512 pixels."""

# Images hold no more pixels than this, and so many a byte; larger blank images are no scans.
_BLANK_PIXELS, _PIXELS_PER_BYTE = 1 << 21, 128

_FILL: Final = "put the darkest value in their place, and export it again"

# Slices of another plane are cut from a volume when its voxels are this nearly cubes.
_MOST_STRETCHED: Final = 1.5
# A head lies at most this far from the scanner's axes; beyond it a cut is neither axial nor anything else.
_MOST_TILTED: Final = 30.0
# Pixels this near to squares are left as they are.
_SQUARE: Final = 1.02


def refuse_sparse(pixels: int, length: int) -> None:
    """Check the number of pixels in a header against the bytes there are.

    Raises:
        UnreadableScanError: So few bytes hold no such image.
    """
    most = _BLANK_PIXELS + _PIXELS_PER_BYTE * length
    if most < pixels <= MOST_PIXELS:
        msg = f"must hold at most {most:,} pixels in {length:,} bytes, got {pixels:,}; export it again"
        raise UnreadableScanError(msg)


@dataclass(frozen=True, slots=True)
class Spacing:
    """The distance from one pixel's centre to the next, in millimetres."""

    row: float
    column: float

    def __post_init__(self) -> None:
        """Refuse what no scanner writes."""
        if not all(math.isfinite(step) and step > 0 for step in (self.row, self.column)):
            msg = f"pixel spacing must be two lengths above 0 mm, got {self.row!r} and {self.column!r}; export it again"
            raise UnreadableScanError(msg)


class RemarkCode(StrEnum):
    """The topics of remarks."""

    UNCALIBRATED = "uncalibrated"
    SINGLE_SLICES = "single_slices"
    PLANE = "plane"
    TILT = "tilt"
    UNEVEN = "uneven"
    WINDOW = "window"
    KINDS = "kinds"
    NO_ORIENTATION = "no_orientation"
    ORIENTATIONS_DISAGREE = "orientations_disagree"
    SHEARED = "sheared"
    PASSED_OVER = "passed_over"


@dataclass(frozen=True, slots=True)
class Remark:
    """A property of a file or a prediction that the reader of the answer should know.

    Attributes:
        code: The topic.
        message: One line.
        value: The plane, the kinds of pictures, the angle in whole degrees, or a number of files.
    """

    code: RemarkCode
    message: str
    value: str | int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the remark as plain types."""
        return {"code": self.code.value, "message": self.message, "value": self.value}


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """One grey picture of a head. There is no field for a patient, and there will be none.

    Attributes:
        pixels: Grey values ``(h, w)`` as stored; finite.
        digest: sha256 of the bytes they were read from, in hexadecimal.
        spacing: The size of a pixel, where the file tells.
        remarks: Properties of the file that were assumed, replaced or not used.
    """

    pixels: Pixels
    digest: str
    spacing: Spacing | None = None
    remarks: tuple[Remark, ...] = ()

    def __post_init__(self) -> None:
        """Refuse pictures that hold nothing to look at."""
        if min(self.pixels.shape) < 1:
            msg = f"a slice must have at least one row and one column, got {self.pixels.shape}; export it again"
            raise UnreadableScanError(msg)
        if not np.isfinite(self.pixels).all():
            msg = f"a slice must hold finite grey values only, got NaN or infinity; {_FILL}"
            raise UnreadableScanError(msg)

    @classmethod
    def of_squares(cls, pixels: Pixels, digest: str, spacing: Spacing) -> Slice:
        """Make a slice of square pixels, as pictures are shown, and as those were that networks are trained on.

        Args:
            pixels: Grey values ``(h, w)`` as stored.
            digest: sha256 of the bytes they were read from, in hexadecimal.
            spacing: The size of a pixel as stored.

        Raises:
            UnreadableScanError: The pixels are so far from squares that there would be more than ``MOST_PIXELS``.
        """
        step = min(spacing.row, spacing.column)
        tall, wide = spacing.row / step, spacing.column / step
        if pixels.size * tall * wide > MOST_PIXELS:
            found = f"{spacing.row:.2g} x {spacing.column:.2g} mm"
            msg = f"pixels must be nearly squares, got {found}; resample the scan to square pixels first"
            raise UnreadableScanError(msg)
        return cls(_squared(pixels, tall, wide), digest, Spacing(step, step))


@dataclass(frozen=True, slots=True)
class SourceStack:
    """The DICOM images that a volume was made of, in the order of the stack before it was turned.

    Attributes:
        images: File name and frame number, from 0, of each.
        turn: The way from the stack to the volume.
    """

    images: tuple[tuple[str, int], ...]
    turn: Reorientation


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """A head in three dimensions, standing as a reader expects it. There is no field for a patient here either.

    Attributes:
        voxels: Grey values ``(s, h, w)``: slices from inferior to superior, rows from anterior to posterior,
            columns from the patient's right to the left; finite.
        spacing: Millimetres from slice to slice, row to row and column to column.
        acquisition_plane: The plane that the scanner took its slices in.
        tilt: The angle between the slices and the scanner's axial plane, in degrees.
        evenly_spaced: Whether the scanner's slices follow each other at one distance, without any missing.
        digest: sha256 of the bytes they were read from, in hexadecimal.
        stack: The DICOM images it was made of; None for other files.
        remarks: Properties of the files that were assumed, replaced or not used.
    """

    voxels: Voxels
    spacing: tuple[float, float, float]
    acquisition_plane: Plane
    tilt: float
    evenly_spaced: bool
    digest: str
    stack: SourceStack | None = None
    remarks: tuple[Remark, ...] = ()

    def __post_init__(self) -> None:
        """Refuse volumes that hold nothing to look at."""
        if min(self.voxels.shape) < 1:
            msg = f"a volume must have at least one voxel along each axis, got {self.voxels.shape}; export it again"
            raise UnreadableScanError(msg)
        if not all(math.isfinite(step) and step > 0 for step in self.spacing):
            msg = f"the spacing of a volume must be three lengths above 0 mm, got {self.spacing}; export it again"
            raise UnreadableScanError(msg)
        # Slice by slice: a mask of the whole would take a quarter of the volume's memory once more.
        if not all(np.isfinite(layer).all() for layer in self.voxels):
            msg = f"a volume must hold finite grey values only, got NaN or infinity; {_FILL}"
            raise UnreadableScanError(msg)

    def axial_slices(self) -> Iterator[Slice]:
        """Cut the volume into axial slices of square pixels, from inferior to superior.

        Raises:
            UnreadableScanError: The volume was taken in another plane, and too coarsely or too unevenly to be
                cut again, or too far from any plane.
        """
        return (self.axial_slice(index) for index in range(len(self.voxels)))

    def axial_slice(self, index: int) -> Slice:
        """Cut one axial slice of square pixels.

        Args:
            index: Which, from 0, inferior to superior.

        Raises:
            UnreadableScanError: As of ``axial_slices``.
        """
        self._refuse_unfit()
        _, row, column = self.spacing
        return Slice.of_squares(self.voxels[index], self.digest, Spacing(row, column))

    def _refuse_unfit(self) -> None:
        _, row, column = self.spacing
        if self.tilt > _MOST_TILTED:
            msg = (
                f"must lie within {_MOST_TILTED:.0f} degrees of the scanner's axes, got {self.tilt:.0f}; "
                "resample it along axial slices first"
            )
            raise UnreadableScanError(msg)
        if self.acquisition_plane is Plane.AXIAL:
            return
        coarse = max(row, column) / min(row, column) > _MOST_STRETCHED
        if coarse or not self.evenly_spaced:
            found = f"pixels of {row:.2g} x {column:.2g} mm" if coarse else "slices missing or unevenly spaced"
            plane = self.acquisition_plane
            fault = f"the slices are {plane}, and axial ones can be cut from nearly cubic voxels only, got {found}"
            remedy = "give an axial series, or judge single slices with `brainslice predict`"
            facts = {"plane": self.acquisition_plane.value, "row": row, "column": column}
            raise InputProblemError(InputProblem.NOT_AXIAL, fault, remedy, facts)


def _squared(layer: Pixels, tall: float, wide: float) -> Float32[np.ndarray, "rows columns"]:
    rows, columns = layer.shape
    if max(tall, wide) <= _SQUARE:
        return layer
    size = (max(1, round(columns * wide)), max(1, round(rows * tall)))
    resized = Image.fromarray(layer).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.float32)
