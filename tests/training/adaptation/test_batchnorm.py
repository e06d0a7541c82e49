from __future__ import annotations

import keras
import numpy as np
import pytest

from brainslice.models.backbones import get_backbone
from brainslice.models.build import Network, NetworkConfig
from brainslice.training.adaptation.batchnorm import adapt_batchnorm
from small_training import arrays_of, changed, small_network

PLAN = NetworkConfig(size=64, weights=None)


@pytest.fixture
def network() -> Network:
    return small_network(PLAN)


def up_to_the_layer(network: Network) -> keras.Model:
    cut = network.model.get_layer(get_backbone(PLAN.backbone).cut).output
    return keras.Model(cut, network.model.get_layer("above").output)


def activations(network: Network) -> tuple[np.ndarray, np.ndarray]:
    scans = np.random.default_rng(0).uniform(0, 255, (30, 64, 64, 1)).astype(np.float32)
    other = 0.5 * scans[::-1] + 60
    return network.frozen_part.predict_on_batch(scans), network.frozen_part.predict_on_batch(other)


def test_the_site_s_features_get_the_moments_of_the_source_s(network: Network) -> None:
    source, site = activations(network)
    normalised = up_to_the_layer(network)
    wanted = normalised.predict_on_batch(source)
    before = normalised.predict_on_batch(site)
    adapt_batchnorm(network.trainable_part, source, site)
    after = normalised.predict_on_batch(site)
    assert not np.allclose(before.mean((0, 1, 2)), wanted.mean((0, 1, 2)), atol=1e-3)
    np.testing.assert_allclose(after.mean((0, 1, 2)), wanted.mean((0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(after.var((0, 1, 2)), wanted.var((0, 1, 2)), rtol=0.02)


def test_nothing_but_the_statistics_above_the_cut_changes(network: Network) -> None:
    before = arrays_of(network)
    adapt_batchnorm(network.trainable_part, *activations(network))
    assert {path.split("/")[-1] for path in changed(before, arrays_of(network))} == {"moving_mean", "moving_variance"}
    assert all(path.startswith("above") for path in changed(before, arrays_of(network)))


def test_a_site_like_the_source_changes_nothing(network: Network) -> None:
    source, _ = activations(network)
    before = network.trainable_part.predict_on_batch(source)["logits"]
    adapt_batchnorm(network.trainable_part, source, source)
    np.testing.assert_allclose(network.trainable_part.predict_on_batch(source)["logits"], before, atol=1e-4)
