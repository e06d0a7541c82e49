from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.errors import UnreadableScanError
from brainslice.scan import Plane
from brainslice.scan.volume.stacks import SeriesGeometry, SlicePosition, SliceStack, group_slices, slice_positions
from hospital import AXIAL, SAGITTAL, SERIES, image

AXIAL_KIN = SeriesGeometry("a", AXIAL, (8, 8), (1.0, 1.0))


def place(height: float, number: int = 0, directions: tuple[float, ...] = AXIAL) -> SlicePosition:
    x, y, z = np.cross(directions[:3], directions[3:]) * height
    return SlicePosition(f"file {height} {number}", 0, number, (float(x), float(y), float(z)))


@given(st.permutations(range(9)))
def test_slices_are_ordered_by_where_they_lie(heights: list[int]) -> None:
    stack = SliceStack.of(AXIAL_KIN, [place(height, number) for number, height in enumerate(heights)])
    assert stack.heights.tolist() == list(range(9))
    assert stack.even


def test_of_one_place_the_first_by_the_scanner_s_count_is_kept() -> None:
    stack = SliceStack.of(AXIAL_KIN, [place(height, number) for number in (2, 1) for height in (0, 3, 6)])
    assert [each.number for each in stack.firsts().positions] == [1, 1, 1]
    assert stack.turn().spacing[0] == 3.0


@pytest.mark.parametrize("heights", [(0, 1, 2, 4), (0, 1, 2.5)])
def test_a_missing_slice_or_an_uneven_step_is_noticed(heights: tuple[float, ...]) -> None:
    assert not SliceStack.of(AXIAL_KIN, [place(height) for height in heights]).even


def test_series_and_planes_of_one_folder_are_told_apart() -> None:
    other = SeriesGeometry("b", AXIAL, (8, 8), (1.0, 1.0))
    sagittal = SeriesGeometry("a", SAGITTAL, (8, 8), (1.0, 1.0))
    found = [(kin, place(height, 0, kin.directions)) for kin in (AXIAL_KIN, other, sagittal) for height in range(3)]
    stacks = group_slices([*found, (SeriesGeometry("c", AXIAL, (8, 8), (1.0, 1.0)), place(0))])
    assert len(stacks) == len({stack.name for stack in stacks}) == 3
    planes = [stack.turn().plane_of(0) for stack in stacks]
    assert sorted(planes) == [Plane.AXIAL, Plane.AXIAL, Plane.SAGITTAL]


def test_a_series_is_named_by_a_digest_only() -> None:
    placed = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": list(AXIAL), "PixelSpacing": [1, 1]}
    ((kinship, found),) = slice_positions(image(np.zeros((8, 8), np.uint16), **placed), "file", set())
    assert SERIES not in repr((kinship, found, SliceStack.of(kinship, [found]).name))
    assert len(kinship.series) == 64


def test_pictures_that_tell_no_place_are_left_out() -> None:
    assert slice_positions(image(np.zeros((8, 8), np.uint16)), "file", set()) == []


def test_directions_that_are_no_numbers_are_refused() -> None:
    placed = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [1, 0, 0], "PixelSpacing": [1, 1]}
    with pytest.raises(UnreadableScanError, match="six finite numbers"):
        slice_positions(image(np.zeros((8, 8), np.uint16), **placed), "file", set())


def test_digits_that_a_scanner_writes_differently_from_slice_to_slice_part_no_stack() -> None:
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


def test_echoes_keep_their_order_however_their_heights_are_rounded() -> None:
    echoes = [place(height + noise, number) for height in (0, 1.005, 2) for number, noise in ((2, -1e-6), (1, 1e-6))]
    assert [each.number for each in SliceStack.of(AXIAL_KIN, echoes).firsts().positions] == [1, 1, 1]


def test_stacks_of_one_series_that_differ_in_size_alone_have_names_of_their_own() -> None:
    small = SeriesGeometry("a", AXIAL, (4, 4), (2.0, 2.0))
    stacks = group_slices([(kin, place(height)) for kin in (AXIAL_KIN, small) for height in range(3)])
    assert len({stack.name for stack in stacks}) == 2
