from __future__ import annotations

from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.errors import UnreadableScanError
from brainslice.scan.volume.orientation import Plane, reorient, reorientation_for

TOWARDS = {"L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
ORIENTATIONS = ["".join(each) for names in permutations(("RL", "AP", "SI")) for each in product(*names)]


def axes_of(orientation: str, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> np.ndarray:
    """Axes of a stack that runs towards these letters."""
    return np.array([TOWARDS[letter] for letter in orientation], dtype=float) * np.array(spacing)[:, None]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_every_orientation_is_reoriented_as_by_nibabel(orientation: str) -> None:
    stack = np.random.default_rng(1).random((3, 4, 5)).astype(np.float32)
    start = nib.orientations.axcodes2ornt(orientation)
    standing = nib.orientations.axcodes2ornt("SPL")
    oracle = nib.orientations.apply_orientation(stack, nib.orientations.ornt_transform(start, standing))
    turn = reorientation_for(axes_of(orientation))
    np.testing.assert_array_equal(reorient(stack, turn), oracle)
    assert turn.tilt == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize(
    ("orientation", "plane"), [("RAS", Plane.AXIAL), ("RSA", Plane.CORONAL), ("ASR", Plane.SAGITTAL)]
)
def test_the_plane_is_that_of_slices_along_an_axis(orientation: str, plane: Plane) -> None:
    assert reorientation_for(axes_of(orientation)).plane_of(2) is plane


def test_spacing_goes_with_its_axis() -> None:
    assert reorientation_for(axes_of("PSR", (1.0, 2.0, 3.0))).spacing == (2.0, 1.0, 3.0)


@given(st.floats(0.0, 40.0))
def test_the_tilt_is_the_angle_to_the_axial_plane(degrees: float) -> None:
    angle = np.radians(degrees)
    nod = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    assert reorientation_for(np.eye(3) @ nod).tilt == pytest.approx(degrees, abs=1e-4)


@pytest.mark.parametrize(
    "axes", [np.zeros((3, 3)), np.full((3, 3), np.nan), np.ones((3, 3)), np.diag([1.0, 1.0, np.inf])]
)
def test_coplanar_axes_are_refused(axes: np.ndarray) -> None:
    with pytest.raises(UnreadableScanError, match="axes of a volume"):
        reorientation_for(axes)


def test_values_beyond_single_precision_become_infinite_without_a_warning() -> None:
    assert np.isinf(reorient(np.full((2, 2, 2), 1e300), reorientation_for(np.eye(3)))).all()


@pytest.mark.parametrize("orientation", ["RAS", "LPS", "ASR", "PSR", "IRP", "SLA"])
def test_undo_inverts_a_reorientation(orientation: str) -> None:
    turn, stack = reorientation_for(axes_of(orientation)), np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(turn.undo(turn(stack)), stack)
