from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from brainslice.dataset.duplicates.fingerprint import WHOLE, Window, high_pass
from brainslice.dataset.duplicates.registration import Schedule, register, window_transform

SIDE = 36
IDENTITY = window_transform(WHOLE)[None]


FIRST = np.zeros(1, dtype=np.int64)


def steps(count: int, stride: int = 1) -> Schedule:
    """Steps that end for no correlation."""
    return Schedule((-1.0,) * (count + 1), stride)


def texture(seed: int) -> np.ndarray:
    """A smooth random picture, four times as fine as what is compared."""
    rough = np.random.default_rng(seed).normal(size=(4 * SIDE, 4 * SIDE))
    smooth = ndimage.gaussian_filter(rough, 6.0)
    return (smooth - smooth.min()) / np.ptp(smooth) * 255


def seen_through(picture: np.ndarray, map_: np.ndarray) -> np.ndarray:
    """Oracle: look at a picture through an affine map, with scipy's splines."""
    side = picture.shape[0]
    steps = (np.arange(side) + 0.5) / side * 2 - 1
    down, across = np.meshgrid(steps, steps, indexing="ij")
    x = map_[0, 0] * across + map_[0, 1] * down + map_[0, 2]
    y = map_[1, 0] * across + map_[1, 1] * down + map_[1, 2]
    return ndimage.map_coordinates(
        picture, [(y + 1) * side / 2 - 0.5, (x + 1) * side / 2 - 0.5], order=3, mode="nearest"
    )


def as_relief(picture: np.ndarray) -> np.ndarray:
    return high_pass(np.clip(np.rint(picture), 0, 255).astype(np.uint8)[None], SIDE)


@settings(max_examples=15)
@given(
    st.integers(0, 30),
    st.floats(-5, 5),
    st.floats(0.95, 1.05),
    st.tuples(st.floats(-0.06, 0.06), st.floats(-0.06, 0.06)),
    st.sampled_from([1, 2]),
)
def test_register_finds_the_transform_of_a_moved_image(
    seed: int, degrees: float, scale: float, shift: tuple[float, float], stride: int
) -> None:
    cosine, sine = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    wanted = np.array([[cosine, -sine, shift[0]], [sine, cosine, shift[1]]], dtype=np.float32)
    picture = texture(seed)
    correlation, maps = register(
        as_relief(seen_through(picture, wanted)), FIRST, as_relief(picture), IDENTITY, steps(12, stride)
    )
    assert correlation[0] > 0.98
    assert np.abs(maps[0] - wanted).max() < 0.02


def test_an_image_correlates_perfectly_with_itself() -> None:
    same = as_relief(texture(1))
    correlation, maps = register(same, FIRST, same, IDENTITY, steps(3))
    assert correlation[0] == pytest.approx(1.0, abs=1e-4)
    assert np.allclose(maps, IDENTITY, atol=1e-3)


def test_more_steps_never_make_it_worse_and_other_pictures_do_not_agree() -> None:
    first, second = as_relief(texture(2)), as_relief(texture(3))
    correlations = [float(register(first, FIRST, second, IDENTITY, steps(count))[0][0]) for count in (0, 2, 6)]
    assert correlations == sorted(correlations)
    assert correlations[-1] < 0.8


def test_pairs_are_registered_independently_of_each_other() -> None:
    first = np.concatenate([as_relief(texture(seed)) for seed in (4, 5)])
    second = np.concatenate(
        [as_relief(seen_through(texture(seed), window_transform(Window(0.05, 1.0, 0.0, 0.97)))) for seed in (4, 5)]
    )
    together, _ = register(first, np.arange(2), second, np.repeat(IDENTITY, 2, axis=0), steps(4))
    alone = [register(first, FIRST + i, second[i : i + 1], IDENTITY, steps(4))[0][0] for i in range(2)]
    assert together == pytest.approx(alone, abs=1e-4)


def test_squares_that_hardly_overlap_or_are_folded_are_refused() -> None:
    same = as_relief(texture(6))
    far = np.array([[[1.0, 0.0, 1.2], [0.0, 1.0, 0.0]]], dtype=np.float32)
    mirrored = np.array([[[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]], dtype=np.float32)
    squeezed = np.array([[[0.4, 0.0, 0.0], [0.0, 1.0, 0.0]]], dtype=np.float32)
    for maps in (far, mirrored, squeezed):
        assert register(same, FIRST, same, maps, steps(0))[0][0] == -1


def test_empty_squares_correlate_with_nothing() -> None:
    empty, full = np.zeros((1, SIDE, SIDE), np.float32), as_relief(texture(7))
    for first, second in ((empty, full), (full, empty), (empty, empty)):
        correlation, maps = register(first, FIRST, second, IDENTITY, steps(3))
        assert correlation[0] == pytest.approx(0.0, abs=1e-3)
        assert np.isfinite(maps).all()


def test_a_window_maps_the_corners_of_a_square_to_its_own() -> None:
    map_ = window_transform(Window(top=0.25, bottom=1.0, left=0.0, right=0.5))
    assert np.allclose(map_ @ [-1, -1, 1], [-1, -0.5])
    assert np.allclose(map_ @ [1, 1, 1], [0, 1])


def test_pairs_below_a_minimum_are_left_and_pairs_above_enough_are_not_moved() -> None:
    picture = texture(8)
    moved = as_relief(seen_through(picture, window_transform(Window(0.03, 1.0, 0.0, 0.98))))
    start, _ = register(as_relief(picture), FIRST, moved, IDENTITY, steps(0))
    for schedule in (Schedule((1.0, 0.0)), Schedule((0.0, 0.0), enough=float(start[0]))):
        correlation, maps = register(as_relief(picture), FIRST, moved, IDENTITY, schedule)
        assert correlation == start
        assert np.array_equal(maps, IDENTITY)
    first_step, _ = register(as_relief(picture), FIRST, moved, IDENTITY, steps(1))
    stopped, _ = register(as_relief(picture), FIRST, moved, IDENTITY, Schedule((0.0, 1.0, 1.0, 1.0)))
    assert start < first_step == stopped
