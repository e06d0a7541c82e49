from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.metrics.calibration import bin_by_confidence, maximum_calibration_error
from brainslice.metrics.intervals.asymptotic import clustered_wilson
from brainslice.metrics.intervals.bins import accuracy_in_bins, maximum_gap


def chances(seed: int, n: int = 150) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(4, 0.4), size=n), rng.integers(4, size=n), rng.integers(40, size=n)


def test_only_bins_that_hold_scans_have_an_interval() -> None:
    probabilities, labels, groups = chances(0)
    filled = bin_by_confidence(probabilities, labels, 10).counts > 0
    bounds = accuracy_in_bins(probabilities, labels, groups, 10)
    assert [interval is not None for interval in bounds] == filled.tolist()
    assert not filled.all()


def test_a_single_bin_is_bounded_like_the_accuracy() -> None:
    probabilities, labels, groups = chances(1)
    right = probabilities.argmax(axis=1) == labels
    assert accuracy_in_bins(probabilities, labels, groups, 1) == (clustered_wilson(right, groups),)


@given(st.integers(0, 2**16), st.sampled_from([1, 7, 15]))
def test_the_largest_gap_lies_in_its_interval(seed: int, bins: int) -> None:
    probabilities, labels, groups = chances(seed)
    largest = maximum_calibration_error(bin_by_confidence(probabilities, labels, bins))
    found = maximum_gap(probabilities, labels, groups, bins)
    assert found.low <= largest + 1e-12
    assert found.high >= largest - 1e-12
    assert found.low >= 0


def test_the_more_sure_the_interval_the_wider_it_is() -> None:
    narrow, wide = (maximum_gap(*chances(2), 5, level) for level in (0.8, 0.99))
    assert wide.low <= narrow.low
    assert wide.high > narrow.high
    assert wide.level == pytest.approx(0.99)
