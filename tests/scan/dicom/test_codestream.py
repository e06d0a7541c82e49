from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydicom.encaps import generate_frames
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless

from brainslice.errors import UnreadableScanError
from brainslice.scan.dicom.codestream import DeclaredSize, declared_size
from hospital import image, lossless_jpeg

GREY = (np.arange(40 * 49) % 251).reshape(40, 49)


def jpeg(mode: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(GREY.astype(np.uint8)).convert(mode).save(buffer, "JPEG")
    return buffer.getvalue()


def in_dicom(syntax: str) -> bytes:
    made = image(GREY.astype(np.uint16))
    made.compress(syntax)
    return next(generate_frames(made.PixelData, number_of_frames=1))


@pytest.mark.parametrize(
    ("stream", "samples"),
    [
        pytest.param(jpeg("L"), 1, id="JPEG"),
        pytest.param(jpeg("RGB"), 3, id="coloured JPEG"),
        pytest.param(lossless_jpeg(GREY.astype(np.uint16)), 1, id="lossless JPEG"),
        pytest.param(in_dicom(JPEG2000Lossless), 1, id="JPEG 2000"),
        pytest.param(in_dicom(JPEGLSLossless), 1, id="JPEG-LS"),
    ],
)
def test_rows_columns_and_samples_are_read_from_the_header(stream: bytes, samples: int) -> None:
    assert declared_size(stream) == DeclaredSize(40, 49, samples)


@given(st.binary(max_size=64), st.sampled_from([b"", b"\xff\xd8", b"\xff\x4f\xff\x51"]))
def test_random_bytes_raise_unreadable_scan_error_only(noise: bytes, opening: bytes) -> None:
    try:
        claim = declared_size(opening + noise)
    except UnreadableScanError:
        claim = DeclaredSize(0, 0, 0)
    assert isinstance(claim, DeclaredSize)


def test_a_stream_cut_within_its_header_is_refused() -> None:
    with pytest.raises(UnreadableScanError, match="no header"):
        declared_size(jpeg("L")[:30])
