from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.errors import UnreadableScanError
from brainslice.scan import Slice, Spacing


@given(st.floats(min_value=0.0, exclude_min=True, allow_infinity=False))
def test_every_finite_length_is_a_spacing(step: float) -> None:
    assert Spacing(step, step).row == step


@pytest.mark.parametrize("step", [0.0, -1.0, float("nan"), float("inf")])
def test_spacings_that_no_scanner_writes_are_refused(step: float) -> None:
    with pytest.raises(UnreadableScanError, match="above 0 mm"):
        Spacing(1.0, step)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_no_number_spoils_the_slice(value: float) -> None:
    pixels = np.ones((3, 4), dtype=np.float32)
    pixels[1, 2] = value
    with pytest.raises(UnreadableScanError, match="finite"):
        Slice(pixels, "0")


@pytest.mark.parametrize("shape", [(0, 4), (4, 0)])
def test_a_slice_without_pixels_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(UnreadableScanError, match="at least one"):
        Slice(np.zeros(shape, dtype=np.float32), "0")
