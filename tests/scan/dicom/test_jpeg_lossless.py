from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from brainslice.errors import UnreadableScanError
from brainslice.scan.dicom.jpeg_lossless import decode_lossless
from hospital import lossless_jpeg

pictures = arrays(np.uint16, array_shapes(min_dims=2, max_dims=2, max_side=9))


@given(pictures, st.integers(1, 7), st.integers(0, 3))
def test_every_predictor_is_lossless(pixels: np.ndarray, predictor: int, restart_rows: int) -> None:
    stream = lossless_jpeg(pixels, predictor, restart_rows=restart_rows)
    np.testing.assert_array_equal(decode_lossless(stream), pixels)


@given(arrays(np.uint16, (4, 5), elements=st.integers(0, 4095)))
def test_images_of_12_bits_are_decoded(pixels: np.ndarray) -> None:
    np.testing.assert_array_equal(decode_lossless(lossless_jpeg(pixels, precision=12)), pixels)


def test_a_stream_cut_short_is_refused() -> None:
    stream = lossless_jpeg(np.random.default_rng(0).integers(0, 65536, (16, 16)).astype(np.uint16))
    for length in (len(stream) // 2, len(stream) - 40):
        with pytest.raises(UnreadableScanError, match="cut short"):
            decode_lossless(stream[:length])


GREY = lossless_jpeg(np.ones((4, 4), np.uint16))


@pytest.mark.parametrize("side", [4096, 60_000])
def test_a_short_stream_with_a_large_size_is_refused_without_allocation(side: int) -> None:
    shape = b"\x10" + (4).to_bytes(2, "big") * 2
    lying = GREY.replace(shape, b"\x10" + side.to_bytes(2, "big") * 2)
    tracemalloc.start()
    with pytest.raises(UnreadableScanError, match=r"at most|cut short"):
        decode_lossless(lying)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("stream", "fault"),
    [
        pytest.param(b"\xff\xd8" + bytes(40), "no header", id="nothing"),
        pytest.param(GREY.replace(b"\xff\xc3", b"\xff\xc0"), "no header", id="another process"),
        pytest.param(GREY.replace(b"\1\1\x11\0", b"\3\1\x11\0"), "several colours", id="coloured"),
        pytest.param(GREY.replace(b"\1\1\0\1\0\0", b"\1\1\0\x09\0\0"), "predictor", id="unknown predictor"),
    ],
)
def test_streams_that_are_not_lossless_grey_jpeg_are_refused(stream: bytes, fault: str) -> None:
    with pytest.raises(UnreadableScanError, match=fault):
        decode_lossless(stream)
