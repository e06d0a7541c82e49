from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.phantom.shapes import GRID, Canvas, Ellipse, Plane, cover, paint, resized, smooth_noise


def flat_canvas(brain: Ellipse) -> Canvas:
    ticks = np.linspace(-1.0, 1.0, GRID, dtype=np.float32)
    x, y = np.meshgrid(ticks, ticks)
    nothing = np.zeros_like(x)
    return Canvas(Plane.AXIAL, x, y, brain, nothing, nothing, nothing)


@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(0.1, 0.4), st.floats(0.1, 0.4))
def test_an_oval_covers_the_area_of_its_ellipse(x: float, y: float, across: float, down: float) -> None:
    covered = flat_canvas(Ellipse(0.0, 0.0, 1.0, 1.0)).oval(Ellipse(x, y, across, down), soft=0.05)
    pixel = (2.0 / (GRID - 1)) ** 2
    assert covered.sum() * pixel == pytest.approx(np.pi * across * down, rel=0.03)


def test_what_is_placed_in_the_brain_moves_and_grows_with_it() -> None:
    brain = Ellipse(0.25, -0.25, 0.5, 0.75)
    assert flat_canvas(brain).in_brain(1.0, -1.0, 0.5, 0.25) == Ellipse(0.75, -1.0, 0.25, 0.1875)


def test_scaling_a_place_leaves_it_where_it_is() -> None:
    assert Ellipse(1.0, 2.0, 3.0, 4.0).scaled(0.5) == Ellipse(1.0, 2.0, 1.5, 2.0)


def test_a_cover_is_whole_inside_half_on_the_line_and_nothing_outside() -> None:
    outside = np.array([[-1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    np.testing.assert_array_equal(cover(outside, 0.1), [[1.0, 0.5], [0.5, 0.0]])


def test_paint_replaces_as_much_as_is_covered() -> None:
    picture = np.full((2, 2), 0.4, dtype=np.float32)
    paint(picture, np.array([[0.0, 1.0], [0.5, 0.25]], dtype=np.float32), 0.8)
    np.testing.assert_allclose(picture, [[0.4, 0.8], [0.6, 0.5]], atol=1e-6)


def test_levels_close_together_have_similar_hills_and_distant_ones_have_others() -> None:
    first, near, far = (smooth_noise(np.random.default_rng(5), 12, level) for level in (0.0, 0.2, 1.5))
    assert np.corrcoef(first.ravel(), near.ravel())[0, 1] > 0.9
    assert abs(np.corrcoef(first.ravel(), far.ravel())[0, 1]) < 0.4


def test_more_cells_make_more_hills() -> None:
    rng = np.random.default_rng(5)
    lobes, gyri = smooth_noise(rng, 5), smooth_noise(rng, 25)
    crossings = [np.count_nonzero(np.diff(np.sign(noise), axis=1)) for noise in (lobes, gyri)]
    assert crossings[1] > 3 * crossings[0]


def test_resizing_keeps_a_mirrored_view_mirrored() -> None:
    ramp = np.tile(np.linspace(0.0, 1.0, 20, dtype=np.float32), (20, 1))
    np.testing.assert_allclose(resized(ramp[:, ::-1], 40), resized(ramp, 40)[:, ::-1], atol=1e-6)
