from __future__ import annotations

import numpy as np
import pytest

from brainslice.preprocessing.contrast import equalise


def test_faint_structure_on_a_bright_slope_gains_contrast() -> None:
    slope = np.tile(np.linspace(0.1, 0.9, 256, dtype=np.float32), (256, 1))
    faint = slope + np.random.default_rng(0).normal(0, 0.02, slope.shape).astype(np.float32)
    rise = np.diff(equalise(faint), axis=0).std() / np.diff(faint, axis=0).std()
    assert 1.3 < rise < 3.0


def test_the_clip_limit_bounds_the_gain_in_uniform_regions() -> None:
    noise = np.random.default_rng(0).normal(0.5, 0.004, (160, 160)).astype(np.float32)
    # Without a limit the few grey levels would be spread over the whole range.
    assert np.ptp(equalise(noise)) < 0.5


def test_order_within_a_tile_is_kept() -> None:
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
    tile = equalise(ramp)[:4, :4]
    assert (np.diff(tile, axis=1) >= 0).all()


@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (8, 8), (9, 200)])
def test_any_shape_gives_values_of_0_to_1(shape: tuple[int, int]) -> None:
    equalised = equalise(np.random.default_rng(1).random(shape, np.float32))
    assert equalised.shape == shape
    assert equalised.dtype == np.float32
    assert 0.0 <= equalised.min() <= equalised.max() <= 1.0
