from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.errors import UnreadableScanError
from brainslice.scan import Plane, Slice, Volume
from brainslice.scan.types import Spacing


@given(st.floats(min_value=0.0, exclude_min=True, allow_infinity=False))
def test_every_finite_length_is_a_spacing(step: float) -> None:
    assert Spacing(step, step).row == step


@pytest.mark.parametrize("step", [0.0, -1.0, float("nan"), float("inf")])
def test_non_positive_and_non_finite_spacings_are_refused(step: float) -> None:
    with pytest.raises(UnreadableScanError, match=r"above 0 mm, got .*; export"):
        Spacing(1.0, step)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_non_finite_pixel_is_refused(value: float) -> None:
    pixels = np.ones((3, 4), dtype=np.float32)
    pixels[1, 2] = value
    with pytest.raises(UnreadableScanError, match=r"finite .*; put the darkest"):
        Slice(pixels, "0")


@pytest.mark.parametrize("shape", [(0, 4), (4, 0)])
def test_a_slice_without_pixels_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(UnreadableScanError, match=r"at least one row .*; export"):
        Slice(np.zeros(shape, dtype=np.float32), "0")


def volume(
    voxels: np.ndarray | None = None,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    acquired: Plane = Plane.AXIAL,
    tilt: float = 0.0,
    *,
    even: bool = True,
) -> Volume:
    cubes = np.arange(24, dtype=np.float32).reshape(2, 3, 4) if voxels is None else voxels
    return Volume(cubes, spacing, acquired, tilt, evenly_spaced=even, digest="0")


def test_axial_slices_are_the_voxels_along_the_first_axis() -> None:
    stack = volume(spacing=(5.0, 0.5, 0.5))
    cuts = [stack.axial_slice(index) for index in range(2)]
    np.testing.assert_array_equal(np.stack([cut.pixels for cut in cuts]), volume().voxels)
    assert cuts[0].spacing == Spacing(0.5, 0.5)


def test_non_square_pixels_are_resampled() -> None:
    cut = volume(spacing=(1.0, 2.0, 1.0)).axial_slice(0)
    assert cut.pixels.shape == (6, 4)
    assert cut.spacing == Spacing(1.0, 1.0)


@pytest.mark.parametrize("spacing", [(1.0, 1e-9, 1.0), (1.0, 1.0, 1e300), (1.0, 5e-324, 1e300)])
def test_slices_that_would_be_too_large_after_resampling_are_refused(spacing: tuple[float, float, float]) -> None:
    with pytest.raises(UnreadableScanError, match=r"pixels must be nearly squares, got .*; resample"):
        volume(spacing=spacing).axial_slice(0)


def test_axial_slices_are_cut_from_other_planes_of_nearly_cubic_voxels() -> None:
    assert volume(spacing=(0.9, 0.9, 1.2), acquired=Plane.SAGITTAL).axial_slice(1).pixels.size


@pytest.mark.parametrize(
    ("unfit", "fault"),
    [
        (volume(spacing=(0.9, 0.9, 5.0), acquired=Plane.SAGITTAL), "sagittal.*0.9 x 5 mm"),
        (volume(acquired=Plane.CORONAL, even=False), "coronal.*missing"),
        (volume(tilt=35.0), "35"),
    ],
)
def test_the_refusal_of_axial_slices_states_the_reason(unfit: Volume, fault: str) -> None:
    with pytest.raises(UnreadableScanError, match=fault):
        unfit.axial_slice(0)


def test_empty_volumes_are_refused() -> None:
    with pytest.raises(UnreadableScanError, match=r"at least one voxel .*; export"):
        volume(np.zeros((0, 3, 4), np.float32))
    with pytest.raises(UnreadableScanError, match=r"above 0 mm, got .*; export"):
        volume(spacing=(0.0, 1.0, 1.0))
    with pytest.raises(UnreadableScanError, match=r"finite .*; put the darkest"):
        volume(np.full((2, 3, 4), np.nan, np.float32))
