from __future__ import annotations

import gzip
import struct
import tracemalloc
from collections.abc import Callable

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.errors import UnreadableScanError
from brainslice.scan import Plane
from brainslice.scan.nifti.reader import read_header, read_nifti, read_nifti_slice
from brainslice.scan.types import Spacing
from hospital import PATIENT, nifti

VOXELS = np.random.default_rng(0).integers(0, 128, (3, 4, 5)).astype(np.int16)


@given(order=st.permutations("RAS"), flips=st.tuples(*[st.booleans()] * 3), second=st.booleans())
def test_voxels_are_oriented_as_by_nibabel(order: list[str], flips: tuple[bool, ...], *, second: bool) -> None:
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for axis, (letter, flip) in enumerate(zip(order, flips, strict=True)):
        affine["RAS".index(letter), axis] = (-1 if flip else 1) * (axis + 1)
    data = nifti(VOXELS, affine, second=second)
    volume = read_nifti(data, "0")
    start = nib.orientations.io_orientation(affine)
    turn = nib.orientations.ornt_transform(start, nib.orientations.axcodes2ornt("SPL"))
    np.testing.assert_array_equal(volume.voxels, nib.orientations.apply_orientation(VOXELS, turn))
    assert sorted(volume.spacing) == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    "kind", [np.uint8, np.int16, np.int32, np.float32, np.float64, np.dtype(">i2"), np.dtype(">f4")]
)
def test_every_kind_of_number_keeps_its_values(kind: type) -> None:
    np.testing.assert_array_equal(
        np.sort(read_nifti(nifti(VOXELS.astype(kind)), "0").voxels, axis=None), np.sort(VOXELS, axis=None)
    )


def test_slope_and_intercept_are_applied() -> None:
    data = bytearray(nifti(VOXELS))
    struct.pack_into("<ff", data, 112, 2.0, -3.0)
    plain = read_nifti(nifti(VOXELS), "0").voxels
    np.testing.assert_array_equal(read_nifti(bytes(data), "0").voxels, plain * 2 - 3)


def test_a_compressed_file_gives_the_same() -> None:
    np.testing.assert_array_equal(
        read_nifti(gzip.compress(nifti(VOXELS)), "0").voxels, read_nifti(nifti(VOXELS), "0").voxels
    )


def test_a_file_of_several_volumes_is_refused_unless_first_is_set() -> None:
    several = np.stack([VOXELS, VOXELS + 1], axis=3)
    with pytest.raises(UnreadableScanError, match=r"2 volumes .*--first-volume"):
        read_nifti(nifti(several), "0")
    first = read_nifti(nifti(several), "0", first=True)
    np.testing.assert_array_equal(first.voxels, read_nifti(nifti(VOXELS), "0").voxels)


def test_a_small_file_with_a_huge_header_size_is_refused_without_allocation() -> None:
    data = bytearray(nifti(VOXELS))
    struct.pack_into("<8h", data, 40, 3, 400, 400, 500, 1, 1, 1, 1)
    bomb = gzip.compress(bytes(data) + bytes(100_000_000))
    tracemalloc.start()
    with pytest.raises(UnreadableScanError, match="at most 64,000,000 voxels"):
        read_nifti(bomb, "0")
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_a_file_cut_short_is_refused() -> None:
    data = nifti(VOXELS)
    for packed in (data[:-1], gzip.compress(data[:-1])):
        with pytest.raises(UnreadableScanError, match="as its header says"):
            read_nifti(packed, "0")
    with pytest.raises(UnreadableScanError, match="within its header"):
        read_header(data[:200])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_non_finite_voxel_is_refused(value: float) -> None:
    spoilt = VOXELS.astype(np.float32)
    spoilt[1, 2, 3] = value
    with pytest.raises(UnreadableScanError, match="finite"):
        read_nifti(nifti(spoilt), "0")


def test_colours_and_complex_numbers_are_refused() -> None:
    colours = np.zeros((3, 4, 5), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    for voxels in (colours, VOXELS.astype(np.complex64)):
        with pytest.raises(UnreadableScanError, match="whole or real"):
            read_nifti(nifti(voxels), "0")


def test_the_acquisition_plane_is_that_of_the_largest_spacing() -> None:
    assert read_nifti(nifti(VOXELS, np.diag([1.0, 1.0, 5.0, 1.0])), "0").acquisition_plane is Plane.AXIAL
    assert read_nifti(nifti(VOXELS, np.diag([5.0, 1.0, 1.0, 1.0])), "0").acquisition_plane is Plane.SAGITTAL


def test_header_texts_are_in_no_value() -> None:
    assert PATIENT.encode() in nifti(VOXELS)
    assert PATIENT not in repr(read_nifti(nifti(VOXELS), "0"))


def orientation(qform: np.ndarray | None, sform: np.ndarray | None) -> list[str]:
    made = nib.Nifti1Image(VOXELS, None)
    made.set_qform(qform, int(qform is not None))
    made.set_sform(sform, int(sform is not None))
    return [remark.message for remark in read_nifti(made.to_bytes(), "0").remarks]


SWAPPED = np.eye(4)[[0, 2, 1, 3]]
SHEARED = np.eye(4) + 0.3 * np.eye(4, k=1) * [[1], [0], [0], [0]]


@pytest.mark.parametrize(
    ("qform", "sform", "words"),
    [
        (np.eye(4), np.diag([2.0, 1.0, 1.0, 1.0]), None),
        (np.eye(4), None, None),
        (None, None, "gives no orientation"),
        (np.eye(4), SWAPPED, "qform and sform of the header disagree"),
        (None, SHEARED, "is sheared"),
    ],
)
def test_doubtful_orientations_leave_a_remark(
    qform: np.ndarray | None, sform: np.ndarray | None, words: str | None
) -> None:
    found = orientation(qform, sform)
    assert (len(found), words is None or words in found[0]) == (int(words is not None), True)


ORDERED = np.arange(60, dtype=np.int16).reshape(3, 4, 5)


def test_a_file_of_one_slice_is_read_in_any_plane() -> None:
    for axis in range(3):
        flat = ORDERED.take([1], axis)
        scan = read_nifti_slice(nifti(flat, np.diag([2.0, 2.0, 2.0, 1.0])), "0")
        assert sorted(scan.pixels.shape) == sorted(size for other, size in enumerate(ORDERED.shape) if other != axis)
        assert set(scan.pixels.ravel()) == set(flat.ravel())
    assert scan.spacing == Spacing(2.0, 2.0)


def test_non_square_pixels_are_resampled_as_in_a_volume() -> None:
    for axis, shape, side in ((0, (8, 4), 2.0), (1, (15, 3), 1.0), (2, (8, 3), 1.0)):
        scan = read_nifti_slice(nifti(ORDERED.take([1], axis), np.diag([1.0, 2.0, 3.0, 1.0])), "0")
        assert scan.pixels.shape == shape
        assert scan.spacing == Spacing(side, side)


def test_a_volume_is_refused_unless_a_slice_is_chosen() -> None:
    with pytest.raises(UnreadableScanError, match=r"brainslice predict-volume.*--frame N"):
        read_nifti_slice(nifti(ORDERED), "0")
    volume = read_nifti(nifti(ORDERED), "0")
    for frame in (1, 5):
        np.testing.assert_array_equal(read_nifti_slice(nifti(ORDERED), "0", frame).pixels, volume.voxels[frame - 1])
    with pytest.raises(UnreadableScanError, match="frame must be 1 to 5"):
        read_nifti_slice(nifti(ORDERED), "0", 6)


def test_the_refusal_counts_axial_slices_after_reorientation() -> None:
    sagittal = np.array([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    with pytest.raises(UnreadableScanError, match=r"holds 4 slices|\b4 slices"):
        read_nifti_slice(nifti(ORDERED, sagittal), "0")


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_more_voxels_than_the_file_can_hold_are_no_choice_of_volumes(pack: Callable[[bytes], bytes]) -> None:
    data = bytearray(nifti(np.zeros((4, 4, 2), np.int16), second=True))
    struct.pack_into("<8q", data, 16, 7, *[73_187_909_238_522_884] * 7)
    with pytest.raises(UnreadableScanError, match="more voxels than a file of") as refused:
        read_nifti_slice(pack(bytes(data)), "")
    assert len(str(refused.value)) < 120
