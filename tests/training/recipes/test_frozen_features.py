from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from brainslice.models.build import NetworkConfig, build
from brainslice.training.recipes import frozen_features
from brainslice.training.recipes.frozen_features import fast_frozen_part
from small_training import keras_trunk, small_network

SCANS = np.random.default_rng(0).uniform(0, 255, (3, 64, 64, 1)).astype(np.float32)


@pytest.mark.slow
def test_the_exported_trunk_equals_the_network_s(tmp_path: Path) -> None:
    network = build(NetworkConfig(size=64, weights=None))
    expected = keras_trunk(network)(SCANS)
    assert expected.std() > 0
    np.testing.assert_allclose(fast_frozen_part(network, tmp_path)(SCANS), expected, atol=1e-4)


def test_takes_any_number_of_scans_and_leaves_no_file_behind(tmp_path: Path) -> None:
    network = small_network(NetworkConfig(size=64, weights=None))
    run = fast_frozen_part(network, tmp_path / "cache")
    for count in (1, 3):
        np.testing.assert_allclose(run(SCANS[:count]), keras_trunk(network)(SCANS[:count]), atol=1e-4)
    assert list((tmp_path / "cache").iterdir()) == []


def test_elsewhere_than_on_tensorflow_the_network_itself_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = small_network(NetworkConfig(size=64, weights=None))
    expected = keras_trunk(network)(SCANS)
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    monkeypatch.delattr(frozen_features, "export_frozen_part")
    np.testing.assert_array_equal(fast_frozen_part(network, tmp_path)(SCANS), expected)
