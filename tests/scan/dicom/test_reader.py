from __future__ import annotations

import numpy as np
import pytest

from brainslice.errors import UnreadableScanError
from brainslice.scan import decode_volume
from brainslice.scan.dicom.reader import NON_IMAGE_MODALITIES, NON_MR_MODALITIES, read_dicom
from brainslice.scan.types import Spacing
from hospital import COMPRESSED, big_endian, compressed, image, slice_at, written

GREY = np.random.default_rng(4).integers(0, 4096, (40, 48)).astype(np.uint16)


def test_one_image_gives_equal_pixels_in_every_encoding() -> None:
    encodings = [written(image(GREY)), big_endian(image(GREY)), *(compressed(image(GREY), each) for each in COMPRESSED)]
    for data in encodings:
        np.testing.assert_array_equal(read_dicom(data, "0").pixels, GREY)


@pytest.mark.parametrize("stored", [np.uint8, np.int16, np.int32])
def test_signed_and_short_numbers_keep_their_values(stored: type) -> None:
    values = (np.arange(48).reshape(6, 8) - (0 if stored is np.uint8 else 20)).astype(stored)
    np.testing.assert_array_equal(read_dicom(written(image(values)), "0").pixels, values)


def test_bits_above_bits_stored_are_masked() -> None:
    overlaid = GREY | np.uint16(0x8000)
    made = image(overlaid, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read_dicom(written(made), "0").pixels, GREY)


def test_non_square_pixels_are_resampled_as_in_a_series() -> None:
    oblong = {"PixelSpacing": [0.5, 0.75]}
    alone = read_dicom(slice_at(GREY, 0.0, **oblong), "0")
    assert (alone.pixels.shape, alone.spacing) == ((40, 72), Spacing(0.5, 0.5))
    series = {str(height): slice_at(GREY, height, **oblong) for height in range(3)}
    np.testing.assert_array_equal(alone.pixels, decode_volume(series, "series").axial_slice(0).pixels)
    assert read_dicom(written(image(GREY)), "0").spacing is None


@pytest.mark.parametrize("modality", ["CT", "PT", "US", "SEG", "RTDOSE"])
def test_other_modalities_are_refused_by_name(modality: str) -> None:
    assert modality in NON_MR_MODALITIES | NON_IMAGE_MODALITIES
    with pytest.raises(UnreadableScanError, match=f"got {modality}"):
        read_dicom(written(image(GREY, Modality=modality)), "0")


def test_one_of_several_frames_must_be_chosen() -> None:
    data = written(image(np.stack([GREY, GREY + 1])))
    with pytest.raises(UnreadableScanError, match="holds 2 frames"):
        read_dicom(data, "0")
    np.testing.assert_array_equal(read_dicom(data, "0", frame=2).pixels, GREY + 1)


def test_an_aspect_ratio_makes_square_pixels_of_unknown_size() -> None:
    found = read_dicom(written(image(GREY, PixelAspectRatio=[2, 1])), "0")
    assert (found.pixels.shape, found.spacing) == ((80, 48), None)
    measured = read_dicom(written(image(GREY, PixelAspectRatio=[2, 1], PixelSpacing=[1.0, 1.0])), "0")
    assert measured.pixels.shape == GREY.shape


@pytest.mark.parametrize("kind", ["P", "PHASE MAP", "R", "IMAGINARY"])
def test_a_phase_picture_is_refused(kind: str) -> None:
    with pytest.raises(UnreadableScanError, match="must be a magnitude picture"):
        read_dicom(written(image(GREY, ImageType=["ORIGINAL", "PRIMARY", kind])), "0")


def test_a_magnitude_picture_is_read() -> None:
    np.testing.assert_array_equal(
        read_dicom(written(image(GREY, ImageType=["ORIGINAL", "PRIMARY", "M"])), "0").pixels, GREY
    )


def test_an_ignored_window_leaves_a_remark() -> None:
    found = read_dicom(written(image(GREY, WindowCenter=40, WindowWidth=400)), "0")
    assert [remark.code for remark in found.remarks] == ["window"]
    np.testing.assert_array_equal(found.pixels, GREY)
