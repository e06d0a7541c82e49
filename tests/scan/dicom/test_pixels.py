from __future__ import annotations

import struct

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG2MPML, JPEG2000Lossless, JPEGExtended12Bit

from brainslice.errors import UnreadableScanError
from brainslice.scan.dicom.file import open_dicom
from brainslice.scan.dicom.pixels import check_pixels, decode_frames, frame_count
from hospital import COMPRESSED, compressed, image, written

FRAMES = np.random.default_rng(2).integers(0, 4096, (3, 40, 48)).astype(np.uint16)


@pytest.mark.parametrize("syntax", [None, *COMPRESSED])
def test_single_frames_are_decoded_by_their_number(syntax: str | None) -> None:
    data = compressed(image(FRAMES), syntax) if syntax else written(image(FRAMES))
    found = open_dicom(data)
    assert frame_count(found) == 3
    for wanted in ([0, 1, 2], [1], [0, 2]):
        decoded = list(decode_frames(found, wanted))
        np.testing.assert_array_equal(np.stack(decoded), FRAMES[wanted])


def lying(rows: int, columns: int) -> Dataset:
    """A file that says another size than its compressed picture does."""
    made = image(FRAMES[0])
    made.compress(JPEG2000Lossless)
    made.Rows, made.Columns = rows, columns
    return open_dicom(written(made))


def test_a_codestream_of_another_size_than_the_file_is_refused() -> None:
    with pytest.raises(UnreadableScanError, match="as the file says"):
        list(decode_frames(lying(20, 24), [0]))


@pytest.mark.parametrize(("rows", "columns"), [(65_535, 65_535), (0, 48)])
def test_images_of_the_wrong_size_are_refused_by_their_header(rows: int, columns: int) -> None:
    with pytest.raises(UnreadableScanError, match="pixels"):
        check_pixels(lying(rows, columns))


def test_a_file_without_a_picture_is_refused() -> None:
    made = image(FRAMES[0])
    del made.PixelData
    with pytest.raises(UnreadableScanError, match="no picture"):
        check_pixels(open_dicom(written(made)))


@pytest.mark.parametrize("syntax", [JPEGExtended12Bit, MPEG2MPML])
def test_a_compression_without_a_free_decoder_is_named(syntax: str) -> None:
    made = image(FRAMES[0], BitsStored=12, HighBit=11)
    made.PixelData = encapsulate([bytes(100)])
    made.file_meta.TransferSyntaxUID = syntax
    with pytest.raises(UnreadableScanError, match=r"JPEG Extended|MPEG2") as caught:
        list(decode_frames(open_dicom(written(made)), [0]))
    assert "without compression" in str(caught.value)


def test_a_file_without_number_of_frames_has_one() -> None:
    assert frame_count(Dataset()) == 1


def test_a_file_of_less_than_one_frame_is_refused() -> None:
    with pytest.raises(UnreadableScanError, match="at least 1"):
        frame_count(image(FRAMES[0], NumberOfFrames="-1"))


def test_frames_are_found_without_the_offset_table() -> None:
    made = image(FRAMES)
    made.compress(JPEG2000Lossless)
    # It leads into the middle of a picture, where another header could lie in wait for the decoder.
    made.ExtendedOffsetTable, made.ExtendedOffsetTableLengths = bytes(24), struct.pack("<3Q", 100, 100, 100)
    found = open_dicom(written(made))
    np.testing.assert_array_equal(np.stack(list(decode_frames(found, [0, 1, 2]))), FRAMES)
