from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from brainslice.phantom import draw_phantom
from brainslice.preprocessing.geometry import foreground
from brainslice.preprocessing.histogram import LANDMARKS, deciles, mean_landmarks, standardise
from brainslice.preprocessing.intensity import stretch

LEVELS = tuple(np.linspace(0.3, 0.7, LANDMARKS).tolist())


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    return stretch(draw_phantom("glioma", 1, 0, seed=1).pixels.astype(np.float32), 0.5, 99.5)


def test_deciles_are_those_of_the_foreground(drawn: np.ndarray) -> None:
    tissue = drawn[foreground(drawn)]
    np.testing.assert_allclose(deciles(drawn), np.percentile(tissue, np.arange(10, 100, 10)), atol=0.02)


def test_the_deciles_become_the_landmarks(drawn: np.ndarray) -> None:
    standard, tissue = standardise(drawn, LEVELS), foreground(drawn)
    np.testing.assert_allclose(np.percentile(standard[tissue], np.arange(10, 100, 10)), LEVELS, atol=0.02)


def test_scans_of_other_grey_curves_become_alike(drawn: np.ndarray) -> None:
    curved, tissue = drawn**1.6, foreground(drawn)
    before = np.abs(drawn - curved)[tissue].mean()
    assert np.abs(standardise(drawn, LEVELS) - standardise(curved, LEVELS))[tissue].mean() < 0.3 * before


def test_landmarks_are_means_over_scans_with_a_foreground() -> None:
    rows = np.stack([np.linspace(0.1, 0.5, 9), np.linspace(0.3, 0.9, 9), np.zeros(9)]).astype(np.float32)
    assert mean_landmarks(rows) == pytest.approx(np.linspace(0.2, 0.7, 9), abs=1e-6)
    assert mean_landmarks(rows[2:]) == ()


@given(
    arrays(np.float32, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.floats(0, 1, width=32)),
    st.lists(st.floats(0, 1), min_size=9, max_size=9).map(sorted),
)
def test_the_order_of_grey_values_is_kept(stretched: np.ndarray, landmarks: list[float]) -> None:
    standard = standardise(stretched, tuple(landmarks))
    assert standard.shape == stretched.shape
    assert 0.0 <= standard.min() <= standard.max() <= 1.0
    order = np.argsort(stretched, axis=None)
    assert (np.diff(standard.ravel()[order]) >= 0).all()
