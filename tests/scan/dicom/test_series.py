from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence

from brainslice.errors import UnreadableScanError
from brainslice.scan import Plane
from brainslice.scan.dicom.series import read_series
from hospital import AXIAL, SAGITTAL, compressed, head, image, slice_at, written

HEAD = head(6)


def files(*data: bytes) -> dict[str, Callable[[], bytes]]:
    return {f"IM{number}": partial(bytes, each) for number, each in enumerate(data)}


def series(heights: range, directions: tuple[float, ...] = AXIAL, **elements: object) -> list[bytes]:
    return [slice_at(HEAD[height], 2.0 * height, directions, **elements) for height in heights]


def test_slices_are_sorted_by_position() -> None:
    volume = read_series(files(*series(range(5, -1, -1))))
    np.testing.assert_array_equal(volume.voxels, HEAD)
    assert volume.spacing == (2.0, 1.0, 1.0)
    assert volume.acquisition_plane is Plane.AXIAL
    assert volume.evenly_spaced


def test_windows_are_not_applied_to_volumes() -> None:
    windowed = read_series(files(*series(range(6), WindowCenter=100, WindowWidth=50)))
    np.testing.assert_array_equal(windowed.voxels, HEAD)


def test_sagittal_slices_are_reoriented() -> None:
    volume = read_series(files(*series(range(6), SAGITTAL)))
    assert volume.acquisition_plane is Plane.SAGITTAL
    assert volume.voxels.shape == (48, 48, 6)
    # The normal of these slices points to the patient's right, so that the last slice is the first column.
    np.testing.assert_array_equal(volume.voxels[:, 0, 0], HEAD[5][::-1, 0])
    np.testing.assert_array_equal(volume.voxels[..., 0], HEAD[5][::-1, :])


def test_one_of_several_series_must_be_chosen_by_name() -> None:
    both = files(*series(range(6)), *series(range(4), SeriesInstanceUID="1.2.3"))
    with pytest.raises(UnreadableScanError, match=r"several series; choose one with `--series NAME`") as caught:
        read_series(both)
    names = [word for word in str(caught.value).replace(",", " ").split() if len(word) == 8 and word.isalnum()]
    lengths = {len(read_series(both, name).voxels) for name in names if all(c in "0123456789abcdef" for c in name)}
    assert lengths == {4, 6}
    assert "1.2.3" not in str(caught.value)
    with pytest.raises(UnreadableScanError, match="0 series of the name 'zz'"):
        read_series(both, "zz")


def test_echoes_are_refused_unless_first_is_set() -> None:
    echoes = [each for number in (1, 2) for each in series(range(6), InstanceNumber=number)]
    with pytest.raises(UnreadableScanError, match=r"12 pictures of 6 places .*--first-volume"):
        read_series(files(*echoes))
    np.testing.assert_array_equal(read_series(files(*echoes), first=True).voxels, HEAD)


def enhanced(order: list[int]) -> Dataset:
    """One file of many frames in an order of its own."""
    made = image(HEAD[order])
    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, plane.ImageOrientationPatient = [1.0, 1.0], list(AXIAL)
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([plane])
    made.SharedFunctionalGroupsSequence = Sequence([shared])
    groups = []
    for height in order:
        group, position = Dataset(), Dataset()
        position.ImagePositionPatient = [0.0, 0.0, 2.0 * height]
        group.PlanePositionSequence = Sequence([position])
        groups.append(group)
    made.PerFrameFunctionalGroupsSequence = Sequence(groups)
    return made


@pytest.mark.parametrize("syntax", [None, "1.2.840.10008.1.2.5"])
def test_frames_of_a_file_are_sorted_by_position(syntax: str | None) -> None:
    made = enhanced([3, 0, 5, 1, 4, 2])
    data = compressed(made, syntax) if syntax else written(made)
    np.testing.assert_array_equal(read_series(files(data)).voxels, HEAD)


def test_slices_without_positions_are_refused() -> None:
    with pytest.raises(UnreadableScanError, match="no series of 3 or more"):
        read_series(files(*(written(image(each)) for each in HEAD)))


def test_a_damaged_slice_is_named() -> None:
    good = series(range(6))
    with pytest.raises(UnreadableScanError, match="IM2: the DICOM file is damaged"):
        read_series(files(*good[:2], good[2][:-100], *good[3:]))


def test_a_series_that_would_fill_the_memory_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brainslice.scan.dicom.series.MAX_VOXELS", HEAD.size - 1)
    with pytest.raises(UnreadableScanError, match="at most"):
        read_series(files(*series(range(6))))


def test_the_refusal_of_another_modality_names_the_file() -> None:
    scout = slice_at(HEAD[0], 90.0, Modality="CT")
    with pytest.raises(UnreadableScanError, match=r"^IM6: must be of magnetic resonance, got CT"):
        read_series(files(*series(range(6)), scout))
    with pytest.raises(UnreadableScanError, match=r"^must be of magnetic resonance, got CT"):
        read_series(files(scout))


def test_non_image_objects_in_a_series_are_passed_over() -> None:
    outline = slice_at(HEAD[0], 90.0, Modality="SEG")
    np.testing.assert_array_equal(read_series(files(*series(range(6)), outline)).voxels, HEAD)
    with pytest.raises(UnreadableScanError, match=r"^must be a scan, got SEG"):
        read_series(files(outline))


@pytest.mark.parametrize("kind", ["P", "LOCALIZER", "ADC"])
def test_non_anatomical_images_are_left_out_with_a_remark(kind: str) -> None:
    others = series(range(6), ImageType=["ORIGINAL", "PRIMARY", kind], InstanceNumber=0)
    anatomy = series(range(6), ImageType=["ORIGINAL", "PRIMARY", "M"], InstanceNumber=1)
    volume = read_series(files(*others, *anatomy))
    np.testing.assert_array_equal(volume.voxels, HEAD)
    assert [remark.code for remark in volume.remarks] == ["kinds"]


def test_a_series_of_phase_pictures_is_refused() -> None:
    with pytest.raises(UnreadableScanError, match="magnitude pictures, got phase pictures only"):
        read_series(files(*series(range(6), ImageType=["ORIGINAL", "PRIMARY", "P"])))


def test_a_series_of_another_kind_is_read_where_there_is_no_other() -> None:
    volume = read_series(files(*series(range(6), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])))
    assert not volume.remarks


def test_frame_types_of_one_file_are_told_apart() -> None:
    made = enhanced([0, 1, 2, 3, 4, 5, *range(6)])
    for number, group in enumerate(made.PerFrameFunctionalGroupsSequence):
        kind = Dataset()
        kind.FrameType = ["ORIGINAL", "PRIMARY", "PHASE MAP" if number < 6 else "M", "NONE"]
        group.MRImageFrameTypeSequence = Sequence([kind])
    volume = read_series(files(written(made)))
    np.testing.assert_array_equal(volume.voxels, HEAD)
    assert [remark.message for remark in volume.remarks] == ["pictures of other kinds were left out: phase"]


def test_frames_with_measures_of_their_own_take_the_spacing_shared_by_all() -> None:
    made = enhanced(list(range(6)))
    for group in made.PerFrameFunctionalGroupsSequence:
        measures = Dataset()
        measures.SliceThickness = 2.0
        group.PixelMeasuresSequence = Sequence([measures])
    assert read_series(files(written(made))).spacing == (2.0, 1.0, 1.0)


def test_a_series_without_pixel_sizes_names_what_is_missing() -> None:
    made = enhanced(list(range(6)))
    del made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    with pytest.raises(UnreadableScanError, match=r"\(missing: PixelSpacing\)"):
        read_series(files(written(made)))


def test_decimal_commas_are_read_as_points() -> None:
    spaced = [slice_at(HEAD[n], 2.5 * n, PixelSpacing=["0.5", "0.5"], RescaleSlope="1.5") for n in range(6)]
    commas = [data.replace(b"0.5\\0.5 ", b"0,5\\0,5 ").replace(b"1.5 ", b"1,5 ") for data in spaced]
    commas = [data.replace(b"2.5", b"2,5").replace(b"7.5", b"7,5") for data in commas]
    assert commas != spaced
    volume = read_series(files(*commas))
    assert volume.spacing == (2.5, 0.5, 0.5)
    np.testing.assert_array_equal(volume.voxels, HEAD * 1.5)
