from __future__ import annotations

import numpy as np
import pytest

from brainslice.dataset.duplicates import similarity
from brainslice.dataset.duplicates.similarity import COARSE, Images

COUNT, KINDS = 150, 30


@pytest.fixture(scope="module")
def squares() -> np.ndarray:
    """Noisy copies of some squares, in a mixed order."""
    generator = np.random.default_rng(0)
    kinds = generator.integers(0, 256, (KINDS, COARSE, COARSE))
    noise = generator.integers(-25, 26, (COUNT, COARSE, COARSE))
    return np.clip(kinds[generator.permutation(COUNT) % KINDS] + noise, 0, 255).astype(np.uint8)


def matrix_of(images: Images, earlier: int | None = None) -> np.ndarray:
    """Collect all similarities of images with themselves; NaN where two were not compared."""
    matrix = np.full((COUNT, COUNT), np.nan)
    for rows, columns, block in images.similarities(images.high_passed, earlier):
        assert (np.diff(rows) > 0).all()
        assert (np.diff(columns) > 0).all()
        assert np.isnan(matrix[np.ix_(rows, columns)]).all()
        matrix[np.ix_(rows, columns)] = block
    return matrix


def cosines(images: Images) -> np.ndarray:
    flat = images.high_passed.reshape(COUNT, -1)
    found: np.ndarray = flat @ flat.T
    np.fill_diagonal(found, -1)
    return found


def test_few_images_are_all_compared(squares: np.ndarray) -> None:
    images = Images.of(squares)
    assert not images.clustered
    np.testing.assert_allclose(matrix_of(images), cosines(images), atol=1e-5)


def test_only_earlier_images_are_needed_for_pairs(squares: np.ndarray) -> None:
    images = Images.of(squares)
    matrix = matrix_of(images, earlier=40)
    needed = (np.arange(COUNT)[:, None] > np.arange(COUNT)) & (np.arange(COUNT) < 40)
    np.testing.assert_allclose(matrix[needed], cosines(images)[needed], atol=1e-5)
    assert np.isnan(matrix[:, 64:]).all()


def test_many_images_are_compared_within_clusters(squares: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity, "MIN_FOR_CLUSTERS", COUNT)
    monkeypatch.setattr(similarity, "_ROWS", 64)
    images = Images.of(squares)
    matrix, expected = matrix_of(images), cosines(images)
    compared = ~np.isnan(matrix)
    assert compared.mean() < 0.6
    np.testing.assert_allclose(matrix[compared], expected[compared], atol=1e-5)
    assert compared[expected > 0.5].all()
    assert (expected > 0.5).sum() >= COUNT * (COUNT // KINDS - 1)
