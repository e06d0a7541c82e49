from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.errors import UnreadableScanError
from brainslice.scan import Plane
from brainslice.scan.volume.stacks import SeriesGeometry, SlicePosition, SliceStack, group_slices, slice_positions
from hospital import AXIAL, SAGITTAL, SERIES, image

GEOMETRY = SeriesGeometry("a", AXIAL, (8, 8), (1.0, 1.0))


def position(height: float, number: int = 0, directions: tuple[float, ...] = AXIAL) -> SlicePosition:
    x, y, z = np.cross(directions[:3], directions[3:]) * height
    return SlicePosition(f"file {height} {number}", 0, number, (float(x), float(y), float(z)))


@given(st.permutations(range(9)))
def test_slices_are_sorted_by_height(heights: list[int]) -> None:
    stack = SliceStack.of(GEOMETRY, [position(height, number) for number, height in enumerate(heights)])
    assert stack.heights.tolist() == list(range(9))
    assert stack.evenly_spaced


def test_the_first_image_of_each_position_is_kept_by_instance_number() -> None:
    stack = SliceStack.of(GEOMETRY, [position(height, number) for number in (2, 1) for height in (0, 3, 6)])
    assert [each.number for each in stack.first_images().positions] == [1, 1, 1]
    assert stack.reorientation().spacing[0] == 3.0


@pytest.mark.parametrize("heights", [(0, 1, 2, 4), (0, 1, 2.5)])
def test_a_missing_slice_makes_the_spacing_uneven(heights: tuple[float, ...]) -> None:
    assert not SliceStack.of(GEOMETRY, [position(height) for height in heights]).evenly_spaced


def test_series_and_planes_of_one_folder_are_told_apart() -> None:
    other = SeriesGeometry("b", AXIAL, (8, 8), (1.0, 1.0))
    sagittal = SeriesGeometry("a", SAGITTAL, (8, 8), (1.0, 1.0))
    found = [
        (each, position(height, 0, each.directions)) for each in (GEOMETRY, other, sagittal) for height in range(3)
    ]
    stacks = group_slices([*found, (SeriesGeometry("c", AXIAL, (8, 8), (1.0, 1.0)), position(0))])
    assert len(stacks) == len({stack.name for stack in stacks}) == 3
    planes = [stack.reorientation().plane_of(0) for stack in stacks]
    assert sorted(planes) == [Plane.AXIAL, Plane.AXIAL, Plane.SAGITTAL]


def test_a_series_is_named_by_a_digest_only() -> None:
    placed = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": list(AXIAL), "PixelSpacing": [1, 1]}
    ((geometry, found),) = slice_positions(image(np.zeros((8, 8), np.uint16), **placed), "file", set())
    assert SERIES not in repr((geometry, found, SliceStack.of(geometry, [found]).name))
    assert len(geometry.series) == 64


def test_frames_without_a_position_are_left_out() -> None:
    assert slice_positions(image(np.zeros((8, 8), np.uint16)), "file", set()) == []


def test_non_finite_directions_are_refused() -> None:
    placed = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [1, 0, 0], "PixelSpacing": [1, 1]}
    with pytest.raises(UnreadableScanError, match="six finite numbers"):
        slice_positions(image(np.zeros((8, 8), np.uint16), **placed), "file", set())


def test_directions_that_differ_in_the_last_digits_are_one_stack() -> None:
    found = []
    for height, digit in enumerate((4.99, 5.01, 4.99, 5.01)):
        placed = {
            "ImagePositionPatient": [0, 0, height],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, digit * 1e-4],
            "PixelSpacing": [1, 1 + digit * 1e-5],
        }
        found += slice_positions(image(np.zeros((8, 8), np.uint16), **placed), f"{height}", set())
    (stack,) = group_slices(found)
    assert len(stack.positions) == 4


def test_echoes_of_rounded_heights_are_sorted_by_instance_number() -> None:
    echoes = [position(height + noise, number) for height in (0, 1.005, 2) for number, noise in ((2, -1e-6), (1, 1e-6))]
    assert [each.number for each in SliceStack.of(GEOMETRY, echoes).first_images().positions] == [1, 1, 1]


def test_stacks_of_one_series_that_differ_in_size_alone_have_names_of_their_own() -> None:
    small = SeriesGeometry("a", AXIAL, (4, 4), (2.0, 2.0))
    stacks = group_slices([(each, position(height)) for each in (GEOMETRY, small) for height in range(3)])
    assert len({stack.name for stack in stacks}) == 2
