"""Slices of a DICOM folder or file, told apart and put in the order in which they lie in the head."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float64
from pydicom import Dataset

from brainslice.errors import UnreadableScanError
from brainslice.scan.dicom.file import read_decimals
from brainslice.scan.dicom.intensity import functional_group
from brainslice.scan.dicom.pixels import frame_count
from brainslice.scan.dicom.reader import picture_kind, spacing_of
from brainslice.scan.input_problem import format_series
from brainslice.scan.volume.orientation import Reorientation, reorientation_for

FEWEST_SLICES: Final = 3
"""Fewer slices are no volume."""

MOST_GEOMETRIES: Final = 200
"""Orientations and pixel sizes that a series may have; the time to compare them grows with the square."""

# Slices nearer to each other than this, in mm, lie at one place.
_SAME_PLACE: Final = 0.01
# Directions, and sizes of pixels in mm, that differ by no more than this belong to one stack: scanners write the last
# digits differently from slice to slice.
_SAME: Final = 2e-3
# Steps from slice to slice may differ by this share of the middle one.
_UNEVEN: Final = 0.1


@dataclass(frozen=True, slots=True)
class SlicePosition:
    """Where one picture lies, and in which file.

    Attributes:
        file: The file's name among those it came with.
        frame: The picture's number in it, from 0.
        number: The scanner's own count, which orders several pictures of one place.
        corner: The centre of the first pixel, in mm.
    """

    file: str
    frame: int
    number: int
    corner: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class SeriesGeometry:
    """What pictures of one stack share.

    Attributes:
        series: A digest of what the file calls its series; the name itself is kept nowhere.
        directions: Along rows and columns, three numbers each.
        size: Rows and columns.
        spacing: The size of a pixel in mm.
        kind: As of ``picture_kind``; empty for anatomy.
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
        mine, theirs = ((*each.directions, *each.spacing) for each in (self, other))
        alike = (self.series, self.size, self.kind) == (other.series, other.size, other.kind)
        return alike and all(abs(one - another) <= _SAME for one, another in zip(mine, theirs, strict=True))


@dataclass(frozen=True, slots=True)
class SliceStack:
    """Pictures of one series, parallel and of one size, in the order in which they lie.

    Attributes:
        geometry: What they share.
        positions: The pictures; several may lie at one place.
    """

    geometry: SeriesGeometry
    positions: tuple[SlicePosition, ...]

    @classmethod
    def of(cls, kinship: SeriesGeometry, places: list[SlicePosition]) -> SliceStack:
        """Order pictures by where they lie, then by the scanner's count."""
        normal = kinship.normal
        rising = sorted((float(normal @ each.corner), at) for at, each in enumerate(places))
        heights = np.array([height for height, _ in rising])
        # The count decides between pictures of one place, however its height is rounded.
        floors = np.cumsum(np.diff(heights, prepend=heights[:1]) > _SAME_PLACE).tolist()
        together = [(floor, places[at]) for floor, (_, at) in zip(floors, rising, strict=True)]
        together.sort(key=lambda each: (each[0], each[1].number, each[1].frame))
        return cls(kinship, tuple(place for _, place in together))

    @property
    def name(self) -> str:
        """A short name to choose the stack by; it tells nothing of a patient."""
        return hashlib.sha256(repr(self.geometry).encode()).hexdigest()[:8]

    @property
    def heights(self) -> Float64[np.ndarray, " n"]:
        """Where each picture lies along the normal, in mm, rising."""
        return np.array([float(self.geometry.normal @ place.corner) for place in self.positions])

    def firsts(self) -> SliceStack:
        """Keep the first picture of each place."""
        apart = np.diff(self.heights, prepend=-np.inf) > _SAME_PLACE
        return SliceStack(self.geometry, tuple(place for place, new in zip(self.positions, apart, strict=True) if new))

    @property
    def even(self) -> bool:
        """Whether all steps from slice to slice are nearly the same."""
        steps = np.diff(self.firsts().heights)
        middle = float(np.median(steps))
        return bool((np.abs(steps - middle) <= _UNEVEN * middle).all())

    def turn(self) -> Reorientation:
        """Find how the stack is brought to stand."""
        directions = np.array(self.geometry.directions).reshape(2, 3)
        row, column = self.geometry.spacing
        step = float(np.median(np.diff(self.firsts().heights)))
        return reorientation_for(np.stack([self.geometry.normal * step, directions[1] * row, directions[0] * column]))

    def __str__(self) -> str:
        """Describe it for somebody who has to choose."""
        return format_series(self.facts())

    def facts(self) -> dict[str, str | int]:
        """Describe it for a door that offers it in words of its own."""
        rows, columns = self.geometry.size
        plane = self.turn().plane_of(0).value
        facts: dict[str, str | int] = {"name": self.name, "slices": len(self.positions)}
        facts |= {"rows": rows, "columns": columns, "plane": plane}
        return facts | ({"kind": self.geometry.kind} if self.geometry.kind else {})


def slice_positions(image: Dataset, file: str, missing: set[str]) -> list[tuple[SeriesGeometry, SlicePosition]]:
    """Find where each picture of a file lies.

    Args:
        image: The file's elements; pixels are not needed.
        file: The file's name.
        missing: Receives the names of the elements that pictures lack.

    Returns:
        What each picture shares with others, and its place; pictures that tell no place are left out.

    Raises:
        UnreadableScanError: The size of a pixel is none that a scanner writes.
        ValueError: A number in the file is none.
    """
    frames = frame_count(image)
    called = f"{image.get('SeriesInstanceUID', '')}{file if frames > 1 else ''}"
    series = hashlib.sha256(called.encode()).hexdigest()
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
        kinship = SeriesGeometry(
            series,
            _directions(directions),
            size,
            (round(spacing.row, 4), round(spacing.column, 4)),
            picture_kind(image, frame),
        )
        found.append((kinship, SlicePosition(file, frame, int(image.get("InstanceNumber") or 0), (x, y, z))))
    return found


def group_slices(found: list[tuple[SeriesGeometry, SlicePosition]]) -> list[SliceStack]:
    """Group slices into stacks, the largest first; stacks of fewer slices than a volume needs are left out.

    Raises:
        UnreadableScanError: A series has more than ``MOST_GEOMETRIES`` orientations and pixel sizes.
    """
    groups: dict[SeriesGeometry, list[SlicePosition]] = {}
    geometries: dict[str, list[SeriesGeometry]] = {}
    for geometry, place in found:
        known = geometry
        if geometry not in groups:
            others = geometries.setdefault(geometry.series, [])
            known = next((each for each in others if each.includes(geometry)), geometry)
            if known is geometry:
                others.append(geometry)
            if len(others) > MOST_GEOMETRIES:
                msg = f"a series must have at most {MOST_GEOMETRIES} orientations, got more; remove it from the folder"
                raise UnreadableScanError(msg)
        groups.setdefault(known, []).append(place)
    stacks = [SliceStack.of(kinship, places) for kinship, places in groups.items()]
    large = [stack for stack in stacks if len(stack.firsts().positions) >= FEWEST_SLICES]
    return sorted(large, key=lambda stack: (-len(stack.positions), stack.name))


def _value(image: Dataset, frame: int, sequence: str, keyword: str) -> Any:  # noqa: ANN401 - as pydicom gives it
    return read_decimals(functional_group(image, frame, sequence, keyword), keyword)


def _directions(told: object) -> tuple[float, ...]:
    numbers = np.array(told, dtype=np.float64)
    if numbers.shape != (6,) or not np.isfinite(numbers).all():
        msg = "the orientation of a slice must be six finite numbers, got others; export the series again"
        raise UnreadableScanError(msg)
    return tuple(float(number) for number in numbers.round(3))
