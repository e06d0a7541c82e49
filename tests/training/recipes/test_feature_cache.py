from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from brainslice.errors import ResourceError
from brainslice.models.build import NetworkConfig, build_network
from brainslice.progress import silent
from brainslice.training.recipes import feature_cache
from brainslice.training.recipes.feature_cache import CachedFeatures, cache_features, fast_frozen_part, grey_images
from small_training import keras_frozen_part, small_network

INPUTS = np.arange(70 * 4 * 4, dtype=np.int64).reshape(70, 4, 4).astype(np.uint8)

PICTURES = grey_images(INPUTS)


def trunk(views: np.ndarray) -> np.ndarray:
    return views.mean(axis=(1, 2), keepdims=True).astype(np.float32)


def noisy(scans: np.ndarray, block: int) -> np.ndarray:
    return scans + np.random.default_rng(block).normal(size=scans.shape).astype(np.float32)


def cached(folder: Path) -> CachedFeatures:
    return CachedFeatures(folder, ("scans", "weights", 1), (1, 1, 1))


def test_caches_activations_of_the_requested_scans(tmp_path: Path) -> None:
    rows = np.array([0, 3, 40, 69])
    found = cache_features(cached(tmp_path), PICTURES, rows, lambda scans, _: scans, trunk, silent)
    np.testing.assert_allclose(found[rows, 0, 0, 0], INPUTS[rows].mean(axis=(1, 2)), rtol=1e-3)
    assert not found[1].any()


def test_view_does_not_depend_on_earlier_requests(tmp_path: Path) -> None:
    whole = cache_features(cached(tmp_path / "one"), PICTURES, np.arange(70), noisy, trunk, silent)
    cache_features(cached(tmp_path / "two"), PICTURES, np.arange(0, 70, 3), noisy, trunk, silent)
    pieces = cache_features(cached(tmp_path / "two"), PICTURES, np.arange(70), noisy, trunk, silent)
    np.testing.assert_array_equal(whole, pieces)


def test_computes_nothing_twice(tmp_path: Path) -> None:
    cache_features(cached(tmp_path), PICTURES, np.arange(70), noisy, trunk, silent)

    def never(_: np.ndarray) -> np.ndarray:
        raise AssertionError

    again = cache_features(cached(tmp_path), PICTURES, np.arange(70), noisy, never, silent)
    assert again.any()


def test_flags_of_deleted_arrays_do_not_count(tmp_path: Path) -> None:
    whole = np.array(cache_features(cached(tmp_path), PICTURES, np.arange(70), noisy, trunk, silent))
    cached(tmp_path).arrays.unlink()

    def killed(_: np.ndarray) -> np.ndarray:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache_features(cached(tmp_path), PICTURES, np.arange(70), noisy, killed, silent)
    again = cache_features(cached(tmp_path), PICTURES, np.arange(70), noisy, trunk, silent)
    np.testing.assert_array_equal(again, whole)


def test_interrupted_caching_resumes(tmp_path: Path) -> None:
    calls = []

    def breaking(views: np.ndarray) -> np.ndarray:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return trunk(views)

    with pytest.raises(KeyboardInterrupt):
        cache_features(cached(tmp_path / "broken"), PICTURES, np.arange(70), noisy, breaking, silent)
    resumed = cache_features(cached(tmp_path / "broken"), PICTURES, np.arange(70), noisy, trunk, silent)
    straight = cache_features(cached(tmp_path / "straight"), PICTURES, np.arange(70), noisy, trunk, silent)
    np.testing.assert_array_equal(resumed, straight)


def test_too_small_disk_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    with pytest.raises(ResourceError, match=r"train\.quick\.views"):
        cache_features(cached(tmp_path), PICTURES, np.arange(70), noisy, trunk, silent)
    assert list(tmp_path.iterdir()) == []


SCANS = np.random.default_rng(0).uniform(0, 255, (3, 64, 64, 1)).astype(np.float32)


MANY = 1000


@pytest.mark.slow
def test_exported_frozen_part_equals_the_network(tmp_path: Path) -> None:
    network = build_network(NetworkConfig(size=64, weights=None))
    expected = keras_frozen_part(network)(SCANS)
    assert expected.std() > 0
    np.testing.assert_allclose(fast_frozen_part(network, tmp_path, MANY)(SCANS), expected, atol=1e-4)


def test_frozen_part_takes_any_batch_size_and_leaves_no_file(tmp_path: Path) -> None:
    network = small_network(NetworkConfig(size=64, weights=None))
    run = fast_frozen_part(network, tmp_path / "cache", MANY)
    for count in (1, 3):
        np.testing.assert_allclose(run(SCANS[:count]), keras_frozen_part(network)(SCANS[:count]), atol=1e-4)
    assert list((tmp_path / "cache").iterdir()) == []


def test_other_backends_run_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = small_network(NetworkConfig(size=64, weights=None))
    expected = keras_frozen_part(network)(SCANS)
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    monkeypatch.delattr(feature_cache, "export_frozen_part")
    np.testing.assert_array_equal(fast_frozen_part(network, tmp_path, MANY)(SCANS), expected)


def test_few_images_are_not_worth_an_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = small_network(NetworkConfig(size=64, weights=None))
    monkeypatch.delattr(feature_cache, "export_frozen_part")
    trunk = fast_frozen_part(network, tmp_path, MANY - 1)
    np.testing.assert_array_equal(trunk(SCANS), keras_frozen_part(network)(SCANS))
