from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from brainslice.preprocessing import grey_statistics, stretch
from brainslice.preprocessing.intensity import percentiles

SHAPES = st.tuples(st.integers(1, 30), st.integers(1, 30))
GREYS = arrays(np.float32, SHAPES, elements=st.floats(0, 255, width=32))
ANYTHING = arrays(np.float32, SHAPES, elements=st.floats(allow_nan=False, allow_infinity=False, width=32))


@given(ANYTHING, st.floats(0, 49), st.floats(51, 100))
def test_stretched_values_lie_within_0_and_1(pixels: np.ndarray, low: float, high: float) -> None:
    stretched = stretch(pixels, low, high)
    assert stretched.dtype == np.float32
    assert stretched.min() >= 0.0
    assert stretched.max() <= 1.0


@given(ANYTHING, st.floats(0, 100), st.floats(0, 100))
def test_percentiles_equal_those_of_numpy(pixels: np.ndarray, low: float, high: float) -> None:
    assert percentiles(pixels, low, high) == tuple(np.percentile(pixels.astype(np.float64), [low, high]))


@given(GREYS)
def test_stretching_keeps_the_order_of_values(pixels: np.ndarray) -> None:
    ordered = stretch(pixels, 2.0, 98.0).ravel()[np.argsort(pixels, axis=None)]
    assert (np.diff(ordered) >= 0.0).all()


@given(GREYS, st.floats(0.5, 100.0), st.floats(-1000.0, 1000.0))
def test_the_unit_of_brightness_does_not_matter(pixels: np.ndarray, scale: float, offset: float) -> None:
    other = (pixels.astype(np.float64) * scale + offset).astype(np.float32)
    if np.ptp(pixels) >= 1.0:
        np.testing.assert_allclose(stretch(other, 0.0, 100.0), stretch(pixels, 0.0, 100.0), atol=2e-3)


def test_the_percentiles_become_black_and_white() -> None:
    ramp = np.arange(10_000, dtype=np.float32).reshape(100, 100)
    stretched = stretch(ramp, 10.0, 90.0)
    assert np.mean(stretched == 0.0) == pytest.approx(0.1, abs=0.001)
    assert np.mean(stretched == 1.0) == pytest.approx(0.1, abs=0.001)
    assert stretched[50, 0] == pytest.approx(0.5, abs=0.001)


def test_a_bright_letter_does_not_darken_the_image() -> None:
    ramp = np.arange(10_000, dtype=np.float32).reshape(100, 100)
    marked = ramp.copy()
    marked[:5, :5] = 1e6
    assert np.abs(stretch(marked, 0.5, 99.5) - stretch(ramp, 0.5, 99.5))[10:].max() < 0.01


def test_a_picture_of_one_grey_becomes_black() -> None:
    assert not stretch(np.full((4, 5), 77.0, dtype=np.float32), 0.5, 99.5).any()


def test_the_percentiles_of_a_large_picture_are_close_to_those_of_all_its_pixels() -> None:
    large = np.random.default_rng(0).gamma(2.0, 40.0, (900, 700)).astype(np.float32)
    floor, ceiling = np.percentile(large, [0.5, 99.5])
    expected = np.clip((large - floor) / (ceiling - floor), 0.0, 1.0)
    assert np.abs(stretch(large, 0.5, 99.5) - expected).max() < 0.03


def test_grey_statistics_are_border_then_picture_then_levels() -> None:
    pixels = np.zeros((4, 4), dtype=np.float32)
    pixels[1:3, 1:3] = 255.0
    border_mean, border_spread, mean, spread, *levels = grey_statistics(pixels).tolist()
    assert (border_mean, border_spread) == (0.0, 0.0)
    assert mean == pytest.approx(0.25)
    assert spread == pytest.approx(np.std([0.0] * 12 + [1.0] * 4))
    assert levels == [0.75, *[0.0] * 30, 0.25]


@given(GREYS)
def test_grey_statistics_do_not_depend_on_position(pixels: np.ndarray) -> None:
    statistics = grey_statistics(pixels)
    for turned in (pixels[::-1], pixels[:, ::-1], pixels.T):
        np.testing.assert_allclose(grey_statistics(np.ascontiguousarray(turned)), statistics, atol=1e-5)
    assert statistics[4:].sum() == pytest.approx(1.0, abs=1e-5)


@given(ANYTHING)
def test_grey_statistics_are_finite(pixels: np.ndarray) -> None:
    statistics = grey_statistics(pixels)
    assert np.isfinite(statistics).all()
    assert statistics[4:].sum() == pytest.approx(1.0, abs=1e-5)


def test_eight_byte_values_share_each_level() -> None:
    levels = grey_statistics(np.arange(256, dtype=np.float32).reshape(16, 16))[4:]
    np.testing.assert_allclose(levels, 1 / 32, atol=1e-6)


def test_deep_pictures_use_all_levels() -> None:
    deep = np.linspace(-500.0, 3000.0, 400, dtype=np.float32).reshape(20, 20)
    assert (grey_statistics(deep)[4:] > 0.0).all()
