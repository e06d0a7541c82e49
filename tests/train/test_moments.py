from __future__ import annotations

import keras
import numpy as np
import pytest

from brainslice.network.backbones import find_backbone
from brainslice.network.build import Network, NetworkPlan
from brainslice.train.moments import move_moments
from small_training import arrays_of, changed, small_network

PLAN = NetworkPlan(size=64, weights=None)


@pytest.fixture
def network() -> Network:
    return small_network(PLAN)


def up_to_the_layer(network: Network) -> keras.Model:
    cut = network.whole.get_layer(find_backbone(PLAN.backbone).cut).output
    return keras.Model(cut, network.whole.get_layer("above").output)


def activations(network: Network) -> tuple[np.ndarray, np.ndarray]:
    scans = np.random.default_rng(0).uniform(0, 255, (30, 64, 64, 1)).astype(np.float32)
    other = 0.5 * scans[::-1] + 60
    return network.trunk.predict_on_batch(scans), network.trunk.predict_on_batch(other)


def test_the_site_s_features_get_the_moments_of_the_source_s(network: Network) -> None:
    source, site = activations(network)
    normalised = up_to_the_layer(network)
    wanted = normalised.predict_on_batch(source)
    before = normalised.predict_on_batch(site)
    move_moments(network.tail, source, site)
    after = normalised.predict_on_batch(site)
    assert not np.allclose(before.mean((0, 1, 2)), wanted.mean((0, 1, 2)), atol=1e-3)
    np.testing.assert_allclose(after.mean((0, 1, 2)), wanted.mean((0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(after.var((0, 1, 2)), wanted.var((0, 1, 2)), rtol=0.02)


def test_nothing_but_the_statistics_above_the_cut_changes(network: Network) -> None:
    before = arrays_of(network)
    move_moments(network.tail, *activations(network))
    assert {path.split("/")[-1] for path in changed(before, arrays_of(network))} == {"moving_mean", "moving_variance"}
    assert all(path.startswith("above") for path in changed(before, arrays_of(network)))


def test_a_site_like_the_source_changes_nothing(network: Network) -> None:
    source, _ = activations(network)
    before = network.tail.predict_on_batch(source)["logits"]
    move_moments(network.tail, source, source)
    np.testing.assert_allclose(network.tail.predict_on_batch(source)["logits"], before, atol=1e-4)
