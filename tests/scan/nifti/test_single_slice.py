from __future__ import annotations

import numpy as np
import pytest

from brainslice.errors import UnreadableScanError
from brainslice.scan import Spacing
from brainslice.scan.nifti.reader import read_nifti
from brainslice.scan.nifti.single_slice import read_nifti_slice
from hospital import nifti

VOXELS = np.arange(60, dtype=np.int16).reshape(3, 4, 5)


def test_a_file_of_one_slice_is_that_slice_whatever_its_plane() -> None:
    for axis in range(3):
        flat = VOXELS.take([1], axis)
        scan = read_nifti_slice(nifti(flat, np.diag([2.0, 2.0, 2.0, 1.0])), "0")
        assert sorted(scan.pixels.shape) == sorted(size for other, size in enumerate(VOXELS.shape) if other != axis)
        assert set(scan.pixels.ravel()) == set(flat.ravel())
    assert scan.spacing == Spacing(2.0, 2.0)


def test_oblong_pixels_become_squares_as_they_do_in_a_volume() -> None:
    for axis, shape, side in ((0, (8, 4), 2.0), (1, (15, 3), 1.0), (2, (8, 3), 1.0)):
        scan = read_nifti_slice(nifti(VOXELS.take([1], axis), np.diag([1.0, 2.0, 3.0, 1.0])), "0")
        assert scan.pixels.shape == shape
        assert scan.spacing == Spacing(side, side)


def test_a_volume_is_refused_unless_a_slice_is_chosen() -> None:
    with pytest.raises(UnreadableScanError, match=r"brainslice predict-volume.*--frame N"):
        read_nifti_slice(nifti(VOXELS), "0")
    volume = read_nifti(nifti(VOXELS), "0")
    for frame in (1, 5):
        np.testing.assert_array_equal(read_nifti_slice(nifti(VOXELS), "0", frame).pixels, volume.voxels[frame - 1])
    with pytest.raises(UnreadableScanError, match="frame must be 1 to 5"):
        read_nifti_slice(nifti(VOXELS), "0", 6)


def test_the_refusal_counts_axial_slices_after_reorientation() -> None:
    sagittal = np.array([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    with pytest.raises(UnreadableScanError, match=r"holds 4 slices|\b4 slices"):
        read_nifti_slice(nifti(VOXELS, sagittal), "0")
