from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from brainslice.service.images import LONGEST_SIDE, data_address, original_picture, png


def test_a_data_address_holds_the_picture_whole() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    address = data_address(Image.fromarray(grey))
    data = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), grey)


def test_greys_of_any_range_are_spread_from_black_to_white() -> None:
    ramp = np.linspace(-1000, 3000, 10_000, dtype=np.float32).reshape(100, 100)
    shown = np.asarray(original_picture(ramp))
    assert (shown.min(), shown.max()) == (0, 255)
    assert (np.diff(shown.ravel().astype(int)) >= 0).all()


@given(st.integers(1, 5000), st.integers(1, 300))
def test_a_picture_is_never_longer_than_it_may_be_and_keeps_its_shape(rows: int, columns: int) -> None:
    picture = original_picture(np.ones((rows, columns), dtype=np.float32))
    assert max(picture.size) <= LONGEST_SIDE
    if max(rows, columns) <= LONGEST_SIDE:
        assert picture.size == (columns, rows)
    elif min(picture.size) > 50:
        assert picture.size[0] / picture.size[1] == pytest.approx(columns / rows, rel=0.05)


def test_png_begins_as_png_does() -> None:
    assert png(Image.new("L", (2, 2))).startswith(b"\x89PNG\r\n\x1a\n")
