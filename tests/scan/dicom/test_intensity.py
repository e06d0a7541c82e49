from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_voi_lut
from pydicom.sequence import Sequence

from brainslice.errors import UnreadableScanError
from brainslice.scan.dicom.intensity import functional_group, grey_frame
from brainslice.scan.types import Remark
from hospital import image

RAMP = np.arange(256, dtype=np.uint16).reshape(16, 16) * 16


def grey(made: Dataset, stored: np.ndarray = RAMP, frame: int = 0, *, window: bool = True) -> np.ndarray:
    return grey_frame(stored, made, frame, window=window)


@given(st.floats(800, 3200), st.floats(1200, 4000), st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]))
def test_windows_equal_those_of_pydicom(centre: float, width: float, function: str) -> None:
    made = image(RAMP, WindowCenter=f"{centre:.6g}", WindowWidth=f"{width:.6g}", VOILUTFunction=function)
    with np.errstate(over="ignore"):
        oracle = apply_voi_lut(RAMP, made)
    if np.ptp(oracle) > 0:
        np.testing.assert_allclose(grey(made), oracle / 65535 * 255, atol=0.01)


def test_without_a_window_values_stay_as_they_are() -> None:
    np.testing.assert_array_equal(grey(image(RAMP)), RAMP)


def test_the_first_of_several_windows_is_used() -> None:
    several = image(RAMP, WindowCenter=[1000, 3000], WindowWidth=[500, 100])
    np.testing.assert_array_equal(grey(several), grey(image(RAMP, WindowCenter=1000, WindowWidth=500)))


def test_values_are_rescaled_before_they_are_windowed() -> None:
    rescaled = image(RAMP, RescaleSlope=2, RescaleIntercept=-100)
    np.testing.assert_array_equal(grey(rescaled), RAMP * 2.0 - 100)
    np.testing.assert_array_equal(grey(rescaled, window=False), RAMP * 2.0 - 100)


@pytest.mark.parametrize("window", [True, False])
def test_monochrome1_is_inverted(*, window: bool) -> None:
    made = image(RAMP, PhotometricInterpretation="MONOCHROME1", WindowCenter=2000, WindowWidth=1000)
    upright = image(RAMP, WindowCenter=2000, WindowWidth=1000)
    turned, plain = grey(made, window=window), grey(upright, window=window)
    np.testing.assert_allclose(turned - turned.min(), plain.max() - plain, atol=1e-3)


def table(first: int, values: list[int]) -> Sequence:
    """A look-up table as DICOM holds it."""
    made = Dataset()
    made.LUTDescriptor = [len(values), first, 16]
    made.LUTData = values
    return Sequence([made])


def test_a_voi_table_is_used_where_there_is_no_window() -> None:
    stored = np.array([[0, 1], [2, 3]], np.uint16)
    shown = grey(image(stored, VOILUTSequence=table(0, [5, 500, 50, 5000])), stored)
    np.testing.assert_array_equal(shown, [[5, 500], [50, 5000]])


def test_a_modality_table_replaces_slope_and_intercept() -> None:
    stored = np.array([[0, 1], [2, 3]], np.uint16)
    shown = grey(image(stored, ModalityLUTSequence=table(1, [7, 70, 700])), stored, window=False)
    np.testing.assert_array_equal(shown, [[7, 7], [70, 700]])


def test_padding_is_as_dark_as_the_darkest_tissue() -> None:
    stored = RAMP.astype(np.int16)
    stored[0] = -2000
    shown = grey(image(stored, PixelPaddingValue=-2000), stored)
    assert shown.min() == RAMP[1:].min()


def test_a_palette_gives_the_luminance_of_its_colours() -> None:
    made = image(np.array([[0, 1], [2, 3]], np.uint8), PhotometricInterpretation="PALETTE COLOR")
    for name, values in (("Red", [0, 255, 0, 0]), ("Green", [0, 0, 255, 0]), ("Blue", [0, 0, 0, 255])):
        setattr(made, f"{name}PaletteColorLookupTableDescriptor", [4, 0, 8])
        setattr(made, f"{name}PaletteColorLookupTableData", bytes(values))
    shown = grey(made, np.array([[0, 1], [2, 3]], np.uint8))
    np.testing.assert_allclose(shown, 255 * np.array([[0, 0.299], [0.587, 0.114]]), rtol=1e-5)


def test_colours_become_grey_and_are_not_windowed() -> None:
    colours = np.full((2, 2, 3), 100, np.uint8)
    np.testing.assert_allclose(grey(image(colours, WindowCenter=5, WindowWidth=2), colours), 100, rtol=1e-5)


def test_functional_groups_apply_to_their_frame_only() -> None:
    made = image(np.stack([RAMP, RAMP]), RescaleSlope=7)
    groups = [Dataset(), Dataset()]
    for slope, group in enumerate(groups, 2):
        group.PixelValueTransformationSequence = Sequence([Dataset()])
        group.PixelValueTransformationSequence[0].RescaleSlope = slope
    made.PerFrameFunctionalGroupsSequence = Sequence(groups)
    assert [grey(made, RAMP, frame).max() for frame in (0, 1)] == [RAMP.max() * 2, RAMP.max() * 3]
    assert functional_group(made, 0, "PlanePositionSequence") is made


def test_images_of_two_or_four_samples_are_refused() -> None:
    with pytest.raises(UnreadableScanError, match="three colours"):
        grey(image(RAMP, PhotometricInterpretation="ICTCP"))


def test_non_finite_numbers_are_refused() -> None:
    made = Dataset()
    made.update(image(RAMP))
    made.RescaleSlope = MultiValue(float, [float("inf")])
    with pytest.raises(UnreadableScanError, match="RescaleSlope must be a finite number"):
        grey(made)


@pytest.mark.parametrize("window", [True, False])
def test_padding_is_dark_in_monochrome1_too(*, window: bool) -> None:
    stored = RAMP.astype(np.int16)
    stored[0] = -2000
    elements = {"PhotometricInterpretation": "MONOCHROME1", "PixelPaddingValue": -2000}
    shown = grey(image(stored, WindowCenter=2000, WindowWidth=1000, **elements), stored, window=window)
    assert (shown[0] == shown[1:].min()).all()
    assert shown[1:].max() > shown[1:].min()


@pytest.mark.parametrize("width", [0, -50])
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_a_window_of_width_0_is_ignored(width: int, function: str) -> None:
    made = image(RAMP, WindowCenter=2000, WindowWidth=width, VOILUTFunction=function)
    np.testing.assert_array_equal(grey(made), RAMP)


NARROW = [(40, 400), (127, 255), (90_000, 10)]


@pytest.mark.parametrize(("centre", "width"), NARROW)
def test_a_window_that_leaves_few_grey_levels_is_ignored_with_a_remark(centre: int, width: int) -> None:
    made, remarks = image(RAMP, WindowCenter=centre, WindowWidth=width), list[Remark]()
    np.testing.assert_array_equal(grey_frame(RAMP, made, 0, window=True, remarks=remarks), RAMP)
    assert [remark.code for remark in remarks] == ["window"]


def test_a_window_that_fits_leaves_no_remark() -> None:
    remarks: list[Remark] = []
    made = image(RAMP, WindowCenter=2000, WindowWidth=2000)
    assert grey_frame(RAMP, made, 0, window=True, remarks=remarks).max() == 255
    assert not remarks


def test_the_window_of_a_picture_of_few_grey_levels_is_applied() -> None:
    stored = np.array([[0, 100], [200, 300]], np.uint16)
    assert grey(image(stored, WindowCenter=100, WindowWidth=2), stored).tolist() == [[0, 255], [255, 255]]


def test_the_shared_group_is_used_where_the_frame_lacks_the_element() -> None:
    made, own, shared = image(RAMP), Dataset(), Dataset()
    own.PixelMeasuresSequence, shared.PixelMeasuresSequence = Sequence([Dataset()]), Sequence([Dataset()])
    own.PixelMeasuresSequence[0].SliceThickness, shared.PixelMeasuresSequence[0].PixelSpacing = 2.0, [0.5, 0.5]
    made.PerFrameFunctionalGroupsSequence = Sequence([own])
    made.SharedFunctionalGroupsSequence = Sequence([shared])
    assert functional_group(made, 0, "PixelMeasuresSequence", "PixelSpacing").PixelSpacing == [0.5, 0.5]
