from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from brainslice.errors import UsageError
from brainslice.inference.slice_pooling import run_length, slices_with_head, strongest_run
from hospital import head


@pytest.mark.parametrize(("slices", "length"), [(1, 1), (2, 2), (3, 3), (24, 3), (31, 4), (160, 16)])
def test_a_run_is_a_tenth_of_the_head_and_at_least_three_slices(slices: int, length: int) -> None:
    assert run_length(slices) == length


@given(arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 1)))
def test_no_other_run_has_a_higher_mean(scores: np.ndarray) -> None:
    start, stop = strongest_run(scores)
    length = run_length(len(scores))
    means = [scores[first : first + length].mean() for first in range(len(scores) - length + 1)]
    assert stop - start == length
    assert scores[start:stop].mean() == pytest.approx(max(means))


def test_one_loud_slice_does_not_carry_what_three_neighbours_do() -> None:
    scores = np.full(30, 0.05)
    scores[4] = 1.0
    assert scores[slice(*strongest_run(scores))].mean() < 0.5
    scores[20:23] = 0.9
    assert strongest_run(scores) == (20, 23)


def test_many_small_doubts_do_not_add_up() -> None:
    doubts = np.full(150, 0.05)
    assert 1 - np.prod(1 - doubts) > 0.99
    assert doubts[slice(*strongest_run(doubts))].mean() == pytest.approx(0.05)


def test_of_no_slices_nothing_can_be_said() -> None:
    with pytest.raises(UsageError, match="at least one slice"):
        strongest_run(np.zeros(0))


def test_empty_slices_and_the_ends_of_the_head_are_left_out() -> None:
    empty = np.zeros((4, 48, 48))
    voxels = np.concatenate([empty, head(24), empty]).astype(np.float32)
    kept = slices_with_head(voxels)
    areas = (voxels > 0).sum(axis=(1, 2))
    assert kept == [number for number, area in enumerate(areas) if area >= areas.max() / 4]
    assert 5 < kept[0] < kept[-1] < 27


@given(st.floats(-1000, 1000), st.floats(0.1, 50))
def test_the_scanner_s_unit_of_brightness_does_not_matter(offset: float, scale: float) -> None:
    voxels = head(24).astype(np.float32)
    assert slices_with_head(voxels * np.float32(scale) + np.float32(offset)) == slices_with_head(voxels)


def test_a_volume_of_one_grey_shows_no_head() -> None:
    assert slices_with_head(np.full((3, 4, 5), 7, np.float32)) == []
