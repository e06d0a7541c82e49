from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.dataset.duplicates.fingerprint import (
    SIDE,
    TURNS,
    WHOLE,
    Window,
    compute_fingerprint,
    high_pass,
    pixel_hash,
    rotated,
)
from brainslice.phantom import draw_phantom
from brainslice.scan.types import Slice

HEAD = draw_phantom("glioma", 1, 2, 5).pixels.astype(np.float32)


def noise(seed: int, count: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE), dtype=np.uint8)


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def test_the_pixel_hash_knows_values_and_shape() -> None:
    assert pixel_hash(HEAD) == pixel_hash(np.asfortranarray(HEAD.copy()))
    assert pixel_hash(HEAD) != pixel_hash(HEAD + (np.arange(HEAD.size) == 7).reshape(HEAD.shape).astype(np.float32))
    assert pixel_hash(np.zeros((2, 8), np.float32)) != pixel_hash(np.zeros((4, 4), np.float32))


def test_a_fingerprint_has_the_file_hash_and_two_squares() -> None:
    made = compute_fingerprint(Slice(HEAD, "f" * 64))
    assert made.sha256 == "f" * 64
    assert made.head.shape == made.frame.shape == (SIDE, SIDE)
    assert (made.head.min(), made.head.max()) == (made.frame.min(), made.frame.max()) == (0, 255)


def test_black_margins_change_the_frame_but_hardly_the_head() -> None:
    plain, padded = (
        compute_fingerprint(Slice(HEAD, "")),
        compute_fingerprint(Slice(np.pad(HEAD, ((60, 10), (5, 90))), "")),
    )
    assert correlation(plain.head, padded.head) > 0.99
    assert correlation(plain.frame, padded.frame) < 0.7


def test_a_picture_without_any_structure_has_an_empty_relief() -> None:
    flat = compute_fingerprint(Slice(np.full((40, 50), 7, np.float32), ""))
    assert not flat.head.any()
    assert not high_pass(flat.head[None], 24).any()


@pytest.mark.parametrize("side", [24, 36, SIDE])
def test_reliefs_have_mean_zero_and_length_one(side: int) -> None:
    found = high_pass(noise(1), side)
    assert found.shape == (3, side, side)
    assert np.allclose(found.mean(axis=(1, 2)), 0, atol=1e-6)
    assert np.allclose((found**2).sum(axis=(1, 2)), 1, atol=1e-5)


def test_a_relief_is_invariant_to_brightness_contrast_and_shading() -> None:
    squares = compute_fingerprint(Slice(HEAD, "")).frame[None]
    dim = (squares // 2 + 40).astype(np.uint8)
    ramp = np.linspace(0, 60, SIDE)[None, None, :]
    shaded = (squares * 0.7 + ramp).astype(np.uint8)
    assert correlation(high_pass(squares, 36), high_pass(dim, 36)) > 0.99
    assert correlation(high_pass(squares, 36), high_pass(shaded, 36)) > 0.97
    assert correlation(squares, shaded) < 0.9


@given(st.integers(0, TURNS - 1), st.integers(0, 99))
def test_relief_and_rotation_commute(turn: int, seed: int) -> None:
    squares = noise(seed)
    assert np.allclose(high_pass(rotated(squares, turn), 24), rotated(high_pass(squares, 24), turn), atol=1e-5)


def test_the_eight_turns_differ_and_the_first_is_none() -> None:
    square = np.arange(9, dtype=np.uint8).reshape(1, 3, 3)
    views = {rotated(square, turn).tobytes() for turn in range(TURNS)}
    assert len(views) == TURNS
    assert np.array_equal(rotated(square, 0), square)
    assert np.array_equal(rotated(square, 1)[0], np.fliplr(square[0]))
    assert np.array_equal(rotated(square, 2)[0], np.flipud(square[0]))
    assert np.array_equal(rotated(square, 4)[0], square[0].T)


def test_a_window_shows_the_part_that_was_cut_out() -> None:
    squares = noise(3)
    part = high_pass(squares, 24, Window(0.0, 1 / 3, 1 / 3, 1.0))
    assert np.allclose(part, high_pass(squares[:, : SIDE // 3, SIDE // 3 :], 24), atol=1e-5)
    assert np.allclose(high_pass(squares, 24, WHOLE), high_pass(squares, 24))
