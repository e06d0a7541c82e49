"""Grouping of DICOM images into stacks, sorted by position."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from pydicom import Dataset

from brainslice.array_types import Float64
from brainslice.errors import UnreadableScanError
from brainslice.scan.dicom.file import read_decimals
from brainslice.scan.dicom.intensity import functional_group
from brainslice.scan.dicom.pixels import frame_count
from brainslice.scan.dicom.reader import image_kind, spacing_of
from brainslice.scan.input_problem import format_series
from brainslice.scan.volume.orientation import Reorientation, reorientation_for

MIN_SLICES: Final = 3
"""Minimum number of slices of a volume."""

MAX_GEOMETRIES: Final = 200
"""Maximum number of orientations and pixel sizes of a series; the time to compare them grows with the square."""

# Distance in mm below which slices have the same position.
_SAME_POSITION: Final = 0.01
# Tolerance of directions and of pixel sizes in mm within a stack: the last digits differ from slice to slice.
_TOLERANCE: Final = 2e-3
# Relative tolerance of the slice distance, compared with the median.
_SPACING_TOLERANCE: Final = 0.1


@dataclass(frozen=True, slots=True)
class SlicePosition:
    """The position and the source of an image.

    Attributes:
        file: The name of its file.
        frame: The frame index in the file.
        number: InstanceNumber, which orders images of the same position.
        corner: The centre of the first pixel, in mm (LPS).
    """

    file: str
    frame: int
    number: int
    corner: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class SeriesGeometry:
    """The common properties of the images of a stack.

    Attributes:
        series: A digest of SeriesInstanceUID, which itself is not kept.
        directions: Direction cosines along rows and columns.
        size: Rows and columns.
        spacing: Pixel spacing in mm.
        kind: As ``image_kind``; empty for anatomical images.
    """

    series: str
    directions: tuple[float, ...]
    size: tuple[int, int]
    spacing: tuple[float, float]
    kind: str = ""

    @property
    def normal(self) -> Float64[np.ndarray, " 3"]:
        """The direction from slice to slice."""
        return np.cross(self.directions[:3], self.directions[3:])

    def includes(self, other: SeriesGeometry) -> bool:
        """Check whether images of the other geometry belong to this stack too."""
        own, others = ((*each.directions, *each.spacing) for each in (self, other))
        alike = (self.series, self.size, self.kind) == (other.series, other.size, other.kind)
        return alike and all(abs(one - another) <= _TOLERANCE for one, another in zip(own, others, strict=True))


@dataclass(frozen=True, slots=True)
class SliceStack:
    """Parallel images of one series and size, sorted by position.

    Attributes:
        geometry: Their common properties.
        positions: The images; several may have the same position.
    """

    geometry: SeriesGeometry
    positions: tuple[SlicePosition, ...]

    @classmethod
    def of(cls, geometry: SeriesGeometry, images: list[SlicePosition]) -> SliceStack:
        """Sort images by position, then by InstanceNumber."""
        normal = geometry.normal
        by_height = sorted((float(normal @ image.corner), index) for index, image in enumerate(images))
        heights = np.array([height for height, _ in by_height])
        # Heights that differ by rounding only are one position, in which InstanceNumber decides.
        levels = np.cumsum(np.diff(heights, prepend=heights[:1]) > _SAME_POSITION).tolist()
        ordered = [(level, images[index]) for level, (_, index) in zip(levels, by_height, strict=True)]
        ordered.sort(key=lambda each: (each[0], each[1].number, each[1].frame))
        return cls(geometry, tuple(image for _, image in ordered))

    @property
    def name(self) -> str:
        """A short name for the choice of a stack, without information on the patient."""
        return hashlib.sha256(repr(self.geometry).encode()).hexdigest()[:8]

    @property
    def heights(self) -> Float64[np.ndarray, " n"]:
        """The position of each image along the normal, in mm, ascending."""
        return np.array([float(self.geometry.normal @ image.corner) for image in self.positions])

    def first_images(self) -> SliceStack:
        """Return the stack with the first image of each position."""
        new_position = np.diff(self.heights, prepend=-np.inf) > _SAME_POSITION
        kept = tuple(image for image, new in zip(self.positions, new_position, strict=True) if new)
        return SliceStack(self.geometry, kept)

    @property
    def evenly_spaced(self) -> bool:
        """Whether the distances of slices are nearly equal."""
        steps = np.diff(self.first_images().heights)
        median = float(np.median(steps))
        return bool((np.abs(steps - median) <= _SPACING_TOLERANCE * median).all())

    def reorientation(self) -> Reorientation:
        """Return the reorientation of the stack to the standard orientation."""
        directions = np.array(self.geometry.directions).reshape(2, 3)
        row, column = self.geometry.spacing
        step = float(np.median(np.diff(self.first_images().heights)))
        return reorientation_for(np.stack([self.geometry.normal * step, directions[1] * row, directions[0] * column]))

    def __str__(self) -> str:
        """Describe the stack in a line, for a choice between several."""
        return format_series(self.details())

    def details(self) -> dict[str, str | int]:
        """Return name, size, plane and kind as plain types."""
        rows, columns = self.geometry.size
        plane = self.reorientation().plane_of(0).value
        details: dict[str, str | int] = {"name": self.name, "slices": len(self.positions)}
        details |= {"rows": rows, "columns": columns, "plane": plane}
        return details | ({"kind": self.geometry.kind} if self.geometry.kind else {})


def slice_positions(image: Dataset, file: str, missing: set[str]) -> list[tuple[SeriesGeometry, SlicePosition]]:
    """Read geometry and position of each frame of a file.

    Args:
        image: The file's elements; pixels are not needed.
        file: The file's name.
        missing: Receives the keywords of missing elements.

    Returns:
        The geometry and the position of each frame that has both.

    Raises:
        UnreadableScanError: The pixel spacing is not finite and positive.
        ValueError: A value is not a number.
    """
    frames = frame_count(image)
    source = f"{image.get('SeriesInstanceUID', '')}{file if frames > 1 else ''}"
    series = hashlib.sha256(source.encode()).hexdigest()
    size = (int(image.Rows), int(image.Columns))
    found = []
    for frame in range(frames):
        corner = _value(image, frame, "PlanePositionSequence", "ImagePositionPatient")
        directions = _value(image, frame, "PlaneOrientationSequence", "ImageOrientationPatient")
        spacing = spacing_of(image, frame)
        if not corner or not directions or spacing is None:
            lacking = {"ImagePositionPatient": corner, "ImageOrientationPatient": directions, "PixelSpacing": spacing}
            missing.update(name for name, value in lacking.items() if not value)
            continue
        x, y, z = (float(number) for number in corner)
        geometry = SeriesGeometry(
            series,
            _directions(directions),
            size,
            (round(spacing.row, 4), round(spacing.column, 4)),
            image_kind(image, frame),
        )
        found.append((geometry, SlicePosition(file, frame, int(image.get("InstanceNumber") or 0), (x, y, z))))
    return found


def group_slices(found: list[tuple[SeriesGeometry, SlicePosition]]) -> list[SliceStack]:
    """Group slices into stacks, the largest first; stacks of fewer than ``MIN_SLICES`` slices are left out.

    Raises:
        UnreadableScanError: A series has more than ``MAX_GEOMETRIES`` orientations and pixel sizes.
    """
    groups: dict[SeriesGeometry, list[SlicePosition]] = {}
    geometries: dict[str, list[SeriesGeometry]] = {}
    for geometry, position in found:
        known = geometry
        if geometry not in groups:
            others = geometries.setdefault(geometry.series, [])
            known = next((each for each in others if each.includes(geometry)), geometry)
            if known is geometry:
                others.append(geometry)
            if len(others) > MAX_GEOMETRIES:
                msg = f"a series must have at most {MAX_GEOMETRIES} orientations, got more; remove it from the folder"
                raise UnreadableScanError(msg)
        groups.setdefault(known, []).append(position)
    stacks = [SliceStack.of(geometry, images) for geometry, images in groups.items()]
    large = [stack for stack in stacks if len(stack.first_images().positions) >= MIN_SLICES]
    return sorted(large, key=lambda stack: (-len(stack.positions), stack.name))


def _value(image: Dataset, frame: int, sequence: str, keyword: str) -> Any:  # noqa: ANN401 - as pydicom gives it
    return read_decimals(functional_group(image, frame, sequence, keyword), keyword)


def _directions(value: object) -> tuple[float, ...]:
    numbers = np.array(value, dtype=np.float64)
    if numbers.shape != (6,) or not np.isfinite(numbers).all():
        msg = "the orientation of a slice must be six finite numbers, got others; export the series again"
        raise UnreadableScanError(msg)
    return tuple(float(number) for number in numbers.round(3))
