from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from brainslice.errors import UsageError
from brainslice.phantom import KINDS, draw_phantom
from brainslice.preprocessing import Box, find_head
from brainslice.preprocessing.geometry import Frame, inside_frame

GREYS = arrays(np.float32, st.tuples(st.integers(1, 60), st.integers(1, 60)), elements=st.floats(0, 255, width=32))


def disc(rows: int = 200, columns: int = 240, radius: int = 60, value: float = 120.0) -> np.ndarray:
    """A bright disc around row 90, column 130, on black."""
    down, across = np.mgrid[:rows, :columns]
    return (np.hypot(down - 90, across - 130) <= radius).astype(np.float32) * np.float32(value)


def assert_holds_disc(box: Box, slack: int = 4) -> None:
    found = np.array([box.top, box.left, box.bottom, box.right])
    np.testing.assert_allclose(found, [30, 70, 151, 191], atol=slack)


def test_box_fits_the_head() -> None:
    box = find_head(disc())
    assert_holds_disc(box)
    assert box.top <= 32
    assert box.right >= 189


@pytest.mark.parametrize("scale", [0.01, 1.0, 250.0])
@pytest.mark.parametrize("offset", [-1000.0, 0.0, 3000.0])
def test_the_box_does_not_depend_on_the_unit_of_brightness(scale: float, offset: float) -> None:
    assert_holds_disc(find_head((disc() * scale + offset).astype(np.float32)))


def test_letters_in_a_corner_are_left_out() -> None:
    picture = disc()
    picture[5:15, 5:40:4] = 255.0
    picture[180:190, 200:230] = 255.0
    assert_holds_disc(find_head(picture))


def test_noise_around_the_head_is_left_out() -> None:
    noise = np.random.default_rng(0).normal(0.0, 12.0, disc().shape)
    assert_holds_disc(find_head(np.abs(disc() + noise).astype(np.float32)))


def test_a_bright_tumour_does_not_shrink_the_box() -> None:
    picture = disc(value=60.0)
    picture[60:85, 110:140] = 255.0
    assert_holds_disc(find_head(picture))


@pytest.mark.parametrize("thickness", [1, 3, 20])
def test_a_white_frame_is_left_out(thickness: int) -> None:
    framed = np.pad(disc(), thickness, constant_values=255.0)
    box = find_head(framed)
    assert_holds_disc(Box(box.top - thickness, box.left - thickness, box.bottom - thickness, box.right - thickness))


def test_white_bars_at_two_sides_are_left_out() -> None:
    box = find_head(np.pad(disc(), ((0, 0), (80, 80)), constant_values=255.0))
    assert_holds_disc(Box(box.top, box.left - 80, box.bottom, box.right - 80))


def test_a_frame_inside_a_dark_margin_is_left_out() -> None:
    framed = np.pad(np.pad(disc(), 2, constant_values=255.0), 3)
    inner = inside_frame(framed)
    assert (inner.height, inner.width) == disc().shape


def test_a_skull_without_a_brain_is_kept_whole() -> None:
    ring = disc(radius=60) - disc(radius=54)
    assert_holds_disc(find_head(ring))


@pytest.mark.parametrize("value", [0.0, 7.0, 255.0])
def test_a_picture_of_one_grey_is_kept_whole(value: float) -> None:
    assert find_head(np.full((30, 40), value, dtype=np.float32)) == Box(0, 0, 30, 40)


@given(GREYS)
def test_the_box_always_lies_inside_the_picture(picture: np.ndarray) -> None:
    box = find_head(picture)
    assert box.crop(picture).shape == (box.height, box.width)


@settings(max_examples=25)
@given(st.integers(0, 200), st.sampled_from(KINDS))
def test_the_crop_of_a_drawn_head_cuts_off_almost_nothing(patient: int, kind: str) -> None:
    phantom = draw_phantom(kind, patient, 0, seed=1)
    pixels = phantom.pixels.astype(np.float32)
    box = find_head(pixels)
    head = pixels > 0.35 * pixels.max()
    assert head[box.top : box.bottom, box.left : box.right].sum() >= 0.995 * head.sum()


@given(GREYS, st.integers(16, 80))
def test_warping_stays_within_the_range_of_the_picture(picture: np.ndarray, size: int) -> None:
    box = Box(0, 0, *picture.shape)
    warped = Frame(box, max(picture.shape), size).warp(picture)
    assert warped.shape == (size, size)
    assert warped.min() >= 0.0
    assert warped.max() <= picture.max() + 1e-3


def test_padding_keeps_the_proportions() -> None:
    picture = disc()
    frame = Frame(Box(0, 0, *picture.shape), 240, 120)
    warped = frame.warp(picture)
    assert not warped[:10].any()
    assert not warped[-10:].any()
    rows, columns = np.nonzero(warped > 60.0)
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=1)
    # Row 90 of 200 lies at 20 + 90 of 240, column 130 at 130.
    assert (rows.mean(), columns.mean()) == (pytest.approx(55, abs=1), pytest.approx(65, abs=1))


def test_shrinking_averages_fine_stripes_instead_of_aliasing_them() -> None:
    stripes = np.tile(np.array([0.0, 200.0], dtype=np.float32), (400, 200))
    warped = Frame(Box(0, 0, 400, 400), 400, 50).warp(stripes)
    np.testing.assert_allclose(warped[5:-5, 5:-5], 100.0, atol=5.0)


def test_nearest_interpolation_keeps_masks_binary() -> None:
    mask = (disc() > 0).astype(np.float32)
    warped = Frame(Box(10, 20, 190, 230), 210, 64).warp(mask, nearest=True)
    assert set(np.unique(warped)) == {0.0, 1.0}


def test_masks_are_resampled_like_images() -> None:
    frame = Frame(Box(10, 20, 190, 230), 210, 64)
    picture = frame.warp(disc(value=1.0))
    mask = frame.warp(disc(value=1.0), nearest=True)
    assert np.mean((picture > 0.5) != (mask > 0.5)) < 0.03


@given(GREYS, st.integers(16, 64))
def test_unwarped_map_covers_the_box_within_the_value_range(picture: np.ndarray, size: int) -> None:
    box = find_head(picture)
    frame = Frame(box, max(box.height, box.width), size)
    back = frame.unwarp(np.full((size, size), 3.0, dtype=np.float32), picture.shape)
    inside = np.zeros(picture.shape, dtype=bool)
    inside[box.top : box.bottom, box.left : box.right] = True
    np.testing.assert_allclose(back[inside], 3.0, rtol=1e-6)
    assert not back[~inside].any()


def test_unwarp_restores_the_position_of_a_peak() -> None:
    frame = Frame(Box(30, 70, 151, 191), 121, 64)
    picture = np.zeros((200, 240), dtype=np.float32)
    picture[118:126, 88:96] = 1.0
    back = frame.unwarp(frame.warp(picture), picture.shape)
    row, column = np.unravel_index(int(back.argmax()), back.shape)
    assert (abs(row - 122) <= 3, abs(column - 92) <= 3) == (True, True)


def test_long_strips_are_resized_before_padding() -> None:
    strip = np.ones((1, 60_000), dtype=np.float32)
    warped = Frame(find_head(strip), 60_000, 64).warp(strip)
    assert warped.shape == (64, 64)
    assert warped.sum() == pytest.approx(64.0)


@pytest.mark.parametrize("corners", [(5, 0, 5, 9), (0, 4, 9, 3), (-1, 0, 9, 9)])
def test_a_box_without_a_pixel_is_refused(corners: tuple[int, int, int, int]) -> None:
    with pytest.raises(UsageError, match="at least one pixel"):
        Box(*corners)


def test_a_box_larger_than_the_picture_is_refused() -> None:
    with pytest.raises(UsageError, match="must hold the box"):
        Box(0, 0, 300, 10).crop(disc())


@pytest.mark.parametrize(("side", "size"), [(9, 64), (10, 0)])
def test_a_square_that_does_not_hold_its_box_is_refused(side: int, size: int) -> None:
    with pytest.raises(UsageError, match="must hold the box"):
        Frame(Box(0, 0, 10, 5), side, size)


def test_a_grown_box_stops_at_the_border() -> None:
    assert Box(5, 5, 10, 10).expanded(3, within=Box(4, 0, 11, 12)) == Box(4, 2, 11, 12)
