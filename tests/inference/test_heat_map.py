from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import map_coordinates

from brainslice.inference.heat_map import positive_class_maps, share_on_mask, upsample

numbers = st.floats(-50, 50, width=32)
# At least two positions: a map of one has no heat.
class_maps = arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(2, 9), st.integers(2, 5)), elements=numbers)
positive = arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(0, 50, width=32))


@settings(max_examples=25)
@given(class_maps, st.lists(numbers, min_size=5, max_size=5))
def test_positive_minus_negative_maps_is_logit_minus_bias(maps: np.ndarray, biases: list[float]) -> None:
    bias = biases[: maps.shape[-1]]
    support = positive_class_maps(maps, bias)
    against = positive_class_maps(-maps, [-number for number in bias])
    logits = maps.astype(np.float64).mean(axis=(0, 1))
    np.testing.assert_allclose((support - against).sum(axis=(0, 1)), logits - bias, atol=1e-3)
    assert (support >= 0).all()
    assert not (support * against).any(), "a position cannot speak for and against a class"


def test_positive_class_maps_equal_gradcam() -> None:
    rng = np.random.default_rng(0)
    features, weights, bias = rng.normal(size=(5, 6, 8)), rng.normal(size=(8, 3)), rng.normal(size=3)
    # The logit is mean(features) @ weights + bias, so its slope in every feature is weights / positions.
    slopes = weights / (5 * 6)
    expected = np.maximum(np.einsum("hwc,ck->hwk", features, slopes), 0)
    np.testing.assert_allclose(positive_class_maps(features @ weights + bias, bias.tolist()), expected, atol=1e-6)


@given(positive, st.integers(1, 60), st.integers(1, 60))
def test_upsampling_stays_within_the_value_range(coarse: np.ndarray, height: int, width: int) -> None:
    fine = upsample(coarse, height, width)
    assert fine.shape == (height, width)
    assert coarse.min() - 1e-4 <= fine.min() <= fine.max() <= coarse.max() + 1e-4


@pytest.mark.parametrize("shape", [(7, 7), (3, 5), (1, 4)])
def test_upsampling_is_bilinear(shape: tuple[int, int]) -> None:
    coarse = np.random.default_rng(0).random(shape).astype(np.float32)
    height, width = 56, 80
    rows = (np.arange(height) + 0.5) * shape[0] / height - 0.5
    columns = (np.arange(width) + 0.5) * shape[1] / width - 0.5
    grid = np.meshgrid(rows, columns, indexing="ij")
    expected = map_coordinates(coarse, grid, order=1, mode="nearest")
    np.testing.assert_allclose(upsample(coarse, height, width), expected, atol=1e-5)


def test_upsampling_keeps_the_position_of_the_peak() -> None:
    coarse = np.zeros((7, 7), dtype=np.float32)
    coarse[2, 5] = 1.0
    peak = np.unravel_index(upsample(coarse, 224, 224).argmax(), (224, 224))
    np.testing.assert_allclose(peak, ((2 + 0.5) * 32, (5 + 0.5) * 32), atol=1)


@given(positive, st.integers(0, 2**16))
def test_the_shares_on_a_mask_and_on_the_rest_are_the_whole(heat: np.ndarray, seed: int) -> None:
    mask = np.random.default_rng(seed).random(heat.shape) < 0.5
    on, off = share_on_mask(heat, mask), share_on_mask(heat, ~mask)
    assert 0.0 <= min(on, off) <= max(on, off) <= 1.0
    assert on + off == (pytest.approx(1.0) if heat.any() else 0.0)


def test_share_on_mask_is_weighted_by_heat() -> None:
    heat = np.array([[3.0, 1.0], [0.0, 0.0]], dtype=np.float32)
    assert share_on_mask(heat, np.array([[True, False], [True, True]])) == pytest.approx(0.75)
