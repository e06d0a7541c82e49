"""Slices and volumes in memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
from PIL import Image

from brainslice.array_types import Float32
from brainslice.arrays import Pixels, Voxels
from brainslice.errors import UnreadableScanError
from brainslice.scan.input_problem import InputProblem, InputProblemError
from brainslice.scan.volume.orientation import Plane, Reorientation

MAX_PIXELS: Final = 32_000_000
"""Maximum number of pixels, checked in the header; slices of heads have far fewer."""

MAX_VOXELS: Final = 64_000_000
"""Maximum number of voxels, checked in the header: 244 slices of 512 x 512 pixels."""

# An image may have so many pixels, and so many more a byte; larger blank images are not scans.
_BLANK_PIXELS, _PIXELS_PER_BYTE = 1 << 21, 128

_FILL: Final = "put the darkest value in their place, and export it again"

# Axial slices are cut from volumes of other planes where the in-plane voxel sizes differ by this factor at most.
_MAX_ANISOTROPY: Final = 1.5
# Maximum tilt in degrees; slices of larger tilts are not axial.
_MAX_TILT: Final = 30.0
# Pixels of at most this ratio of sides are not resampled.
_MAX_PIXEL_RATIO: Final = 1.02


def refuse_sparse(pixels: int, length: int) -> None:
    """Check the number of pixels in a header against the length of the file.

    Raises:
        UnreadableScanError: The header claims far more pixels than the file can hold.
    """
    most = _BLANK_PIXELS + _PIXELS_PER_BYTE * length
    if most < pixels <= MAX_PIXELS:
        msg = f"must hold at most {most:,} pixels in {length:,} bytes, got {pixels:,}; export it again"
        raise UnreadableScanError(msg)


@dataclass(frozen=True, slots=True)
class Spacing:
    """The distance from one pixel's centre to the next, in millimetres."""

    row: float
    column: float

    def __post_init__(self) -> None:
        """Check for finite, positive values."""
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
    """A property of a file or a prediction that the reader of the result should know.

    Attributes:
        code: The topic.
        message: A line of text.
        value: The plane, the kinds of images, the angle in whole degrees, or a number of files.
    """

    code: RemarkCode
    message: str
    value: str | int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the remark as plain types."""
        return {"code": self.code.value, "message": self.message, "value": self.value}


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """A grey image of a head, without any information on the patient.

    Attributes:
        pixels: Grey values ``(h, w)`` as stored; finite.
        digest: The sha256 of the file, in hexadecimal.
        spacing: The size of a pixel, where known.
        remarks: Properties of the file that were assumed, replaced or not used.
    """

    pixels: Pixels
    digest: str
    spacing: Spacing | None = None
    remarks: tuple[Remark, ...] = ()

    def __post_init__(self) -> None:
        """Check for at least one pixel and finite values."""
        if min(self.pixels.shape) < 1:
            msg = f"a slice must have at least one row and one column, got {self.pixels.shape}; export it again"
            raise UnreadableScanError(msg)
        if not np.isfinite(self.pixels).all():
            msg = f"a slice must hold finite grey values only, got NaN or infinity; {_FILL}"
            raise UnreadableScanError(msg)

    @classmethod
    def with_square_pixels(cls, pixels: Pixels, digest: str, spacing: Spacing) -> Slice:
        """Make a slice of square pixels by resampling, as training images have them.

        Args:
            pixels: Grey values ``(h, w)`` as stored.
            digest: The sha256 of the file, in hexadecimal.
            spacing: The size of a pixel as stored.

        Raises:
            UnreadableScanError: The result would have more than ``MAX_PIXELS`` pixels.
        """
        step = min(spacing.row, spacing.column)
        tall, wide = spacing.row / step, spacing.column / step
        if pixels.size * tall * wide > MAX_PIXELS:
            found = f"{spacing.row:.2g} x {spacing.column:.2g} mm"
            msg = f"pixels must be nearly squares, got {found}; resample the scan to square pixels first"
            raise UnreadableScanError(msg)
        return cls(_resample(pixels, tall, wide), digest, Spacing(step, step))


@dataclass(frozen=True, slots=True)
class SourceStack:
    """The DICOM images of a volume, in the order before reorientation.

    Attributes:
        images: File name and frame index of each.
        reorientation: The transform from the stack to the volume.
    """

    images: tuple[tuple[str, int], ...]
    reorientation: Reorientation


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """A volume in a standard orientation, without any information on the patient.

    Attributes:
        voxels: Grey values ``(s, h, w)``: slices from inferior to superior, rows from anterior to posterior,
            columns from the patient's right to the left; finite.
        spacing: The distance of slices, rows and columns, in mm.
        acquisition_plane: The plane of the acquired slices.
        tilt: The angle between the slices and the scanner's axial plane, in degrees.
        evenly_spaced: Whether the acquired slices have equal distances, none missing.
        digest: The sha256 of the files, in hexadecimal.
        stack: The DICOM images of the volume; None for other formats.
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
        """Check for at least one voxel, positive spacing and finite values."""
        if min(self.voxels.shape) < 1:
            msg = f"a volume must have at least one voxel along each axis, got {self.voxels.shape}; export it again"
            raise UnreadableScanError(msg)
        if not all(math.isfinite(step) and step > 0 for step in self.spacing):
            msg = f"the spacing of a volume must be three lengths above 0 mm, got {self.spacing}; export it again"
            raise UnreadableScanError(msg)
        # Slice by slice, to save memory.
        if not all(np.isfinite(layer).all() for layer in self.voxels):
            msg = f"a volume must hold finite grey values only, got NaN or infinity; {_FILL}"
            raise UnreadableScanError(msg)

    def axial_slice(self, index: int) -> Slice:
        """Return an axial slice with square pixels.

        Args:
            index: The index, from inferior to superior.

        Raises:
            UnreadableScanError: The volume was acquired in another plane with coarse or uneven spacing, or its tilt is
                too large.
        """
        self._refuse_non_axial()
        _, row, column = self.spacing
        return Slice.with_square_pixels(self.voxels[index], self.digest, Spacing(row, column))

    def _refuse_non_axial(self) -> None:
        _, row, column = self.spacing
        if self.tilt > _MAX_TILT:
            msg = (
                f"must lie within {_MAX_TILT:.0f} degrees of the scanner's axes, got {self.tilt:.0f}; "
                "resample it along axial slices first"
            )
            raise UnreadableScanError(msg)
        if self.acquisition_plane is Plane.AXIAL:
            return
        coarse = max(row, column) / min(row, column) > _MAX_ANISOTROPY
        if coarse or not self.evenly_spaced:
            found = f"pixels of {row:.2g} x {column:.2g} mm" if coarse else "slices missing or unevenly spaced"
            plane = self.acquisition_plane
            fault = f"the slices are {plane}, and axial ones can be cut from nearly cubic voxels only, got {found}"
            remedy = "give an axial series, or predict single slices with `brainslice predict`"
            details = {"plane": self.acquisition_plane.value, "row": row, "column": column}
            raise InputProblemError(InputProblem.NOT_AXIAL, fault, remedy, details)


def _resample(layer: Pixels, tall: float, wide: float) -> Float32[np.ndarray, "rows columns"]:
    rows, columns = layer.shape
    if max(tall, wide) <= _MAX_PIXEL_RATIO:
        return layer
    size = (max(1, round(columns * wide)), max(1, round(rows * tall)))
    resized = Image.fromarray(layer).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.float32)
