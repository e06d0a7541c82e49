from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from brainslice.errors import ResourceError
from brainslice.progress import silent
from brainslice.training.recipes.feature_cache import CachedFeatures, cache_features, grey_pictures

INPUTS = np.arange(70 * 4 * 4, dtype=np.int64).reshape(70, 4, 4).astype(np.uint8)

PICTURES = grey_pictures(INPUTS)


def trunk(views: np.ndarray) -> np.ndarray:
    return views.mean(axis=(1, 2), keepdims=True).astype(np.float32)


def noisy(scans: np.ndarray, block: int) -> np.ndarray:
    return scans + np.random.default_rng(block).normal(size=scans.shape).astype(np.float32)


def shelf(folder: Path) -> CachedFeatures:
    return CachedFeatures(folder, ("scans", "weights", 1), (1, 1, 1))


def test_keeps_what_the_trunk_makes_of_the_wanted_scans(tmp_path: Path) -> None:
    rows = np.array([0, 3, 40, 69])
    found = cache_features(shelf(tmp_path), PICTURES, rows, lambda scans, _: scans, trunk, silent)
    np.testing.assert_allclose(found[rows, 0, 0, 0], INPUTS[rows].mean(axis=(1, 2)), rtol=1e-3)
    assert not found[1].any()


def test_a_view_does_not_depend_on_what_was_asked_for_before(tmp_path: Path) -> None:
    whole = cache_features(shelf(tmp_path / "one"), PICTURES, np.arange(70), noisy, trunk, silent)
    cache_features(shelf(tmp_path / "two"), PICTURES, np.arange(0, 70, 3), noisy, trunk, silent)
    pieces = cache_features(shelf(tmp_path / "two"), PICTURES, np.arange(70), noisy, trunk, silent)
    np.testing.assert_array_equal(whole, pieces)


def test_computes_nothing_twice(tmp_path: Path) -> None:
    cache_features(shelf(tmp_path), PICTURES, np.arange(70), noisy, trunk, silent)

    def never(_: np.ndarray) -> np.ndarray:
        raise AssertionError

    again = cache_features(shelf(tmp_path), PICTURES, np.arange(70), noisy, never, silent)
    assert again.any()


def test_goes_on_after_an_interruption_with_the_same_numbers(tmp_path: Path) -> None:
    calls = []

    def breaking(views: np.ndarray) -> np.ndarray:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return trunk(views)

    with pytest.raises(KeyboardInterrupt):
        cache_features(shelf(tmp_path / "broken"), PICTURES, np.arange(70), noisy, breaking, silent)
    resumed = cache_features(shelf(tmp_path / "broken"), PICTURES, np.arange(70), noisy, trunk, silent)
    straight = cache_features(shelf(tmp_path / "straight"), PICTURES, np.arange(70), noisy, trunk, silent)
    np.testing.assert_array_equal(resumed, straight)


def test_asks_for_room_before_it_takes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    with pytest.raises(ResourceError, match=r"train\.quick\.views"):
        cache_features(shelf(tmp_path), PICTURES, np.arange(70), noisy, trunk, silent)
    assert list(tmp_path.iterdir()) == []
