from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - its usual name
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from brainslice.phantom import draw_phantom
from brainslice.preprocessing.bias_field import correct_bias_field
from brainslice.preprocessing.geometry import foreground


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    return draw_phantom("no_tumor", 1, 0, seed=1).pixels.astype(np.float32)


def shading(shape: tuple[int, ...]) -> np.ndarray:
    """A smooth field that rises from 0.5 to 1.5 along both axes."""
    down, across = (np.linspace(0.0, 1.0, length) for length in shape)
    return (0.5 + down[:, np.newaxis] * 0.5 + across * 0.5).astype(np.float32)


def spread(pixels: np.ndarray, tissue: np.ndarray) -> float:
    return float(np.std(pixels[tissue]) / np.mean(pixels[tissue]))


def test_shading_of_a_uniform_head_is_removed() -> None:
    down, across = np.mgrid[:240, :200]
    head = np.hypot((down - 120) / 110, (across - 100) / 90) <= 1
    pixels = (head * 100.0 * shading(head.shape)).astype(np.float32)
    inner = np.hypot((down - 120) / 100, (across - 100) / 80) <= 1
    assert spread(pixels, inner) > 0.12
    assert spread(correct_bias_field(pixels), inner) < 0.2 * spread(pixels, inner)


def test_a_shaded_head_becomes_more_like_the_plain_one(drawn: np.ndarray) -> None:
    tissue = foreground(drawn)
    plain, shaded = correct_bias_field(drawn), drawn * shading(drawn.shape)
    before = np.corrcoef(drawn[tissue], shaded[tissue])[0, 1]
    after = np.corrcoef(plain[tissue], correct_bias_field(shaded)[tissue])[0, 1]
    assert 1 - after < 0.5 * (1 - before)


def test_equal_scans_give_equal_bits_whatever_the_number_of_threads(drawn: np.ndarray) -> None:
    first = correct_bias_field(drawn)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(3)
    np.testing.assert_array_equal(correct_bias_field(drawn.copy()), first)


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (7, 7), (40, 40), (400, 30)])
def test_images_without_a_field_to_fit_stay_as_they_are(shape: tuple[int, int]) -> None:
    uniform = np.full(shape, 7.0, np.float32)
    np.testing.assert_array_equal(correct_bias_field(uniform), uniform)


@settings(max_examples=25, deadline=None)
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 70), st.integers(1, 70)),
        elements=st.floats(allow_nan=False, allow_infinity=False, width=32),
    )
)
def test_any_image_gives_finite_values_of_its_shape(pixels: np.ndarray) -> None:
    corrected = correct_bias_field(pixels)
    assert corrected.shape == pixels.shape
    assert corrected.dtype == np.float32
    assert np.isfinite(corrected).all()
