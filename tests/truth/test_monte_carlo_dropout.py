"""Thinning the features' means is what Keras does with dropout, and nothing else of the network, switched on."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from scipy.stats import ks_2samp

from brainslice.models.build import Network, NetworkConfig
from brainslice.models.export import extract_head
from brainslice.models.head import FEATURES, HEAD
from small_training import arrays_of, changed, small_network

DRAWS = 3000


@pytest.fixture(scope="module")
def network() -> Network:
    found = small_network(NetworkConfig(size=64, dropout=0.4, weights=None, seed=3))
    rng = np.random.default_rng(3)
    for layer in found.model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            count = layer.gamma.shape[0]
            layer.set_weights([rng.uniform(low, high, count) for low, high in ((1, 2), (0, 1), (-1, 1), (0.5, 1.5))])
    return found


@pytest.fixture(scope="module")
def scan() -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (1, 64, 64, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def top(network: Network, scan: np.ndarray) -> np.ndarray:
    """What the dropout layer is given, with everything before it in inference mode."""
    before = keras.Model(network.model.input, network.model.get_layer(FEATURES).input)
    return np.asarray(before(scan, training=False))


def test_the_draws_are_distributed_as_keras_draws_them(network: Network, top: np.ndarray) -> None:
    many = np.repeat(top, DRAWS, axis=0)
    thinned = network.model.get_layer(FEATURES)(many, training=True)
    theirs = np.asarray(network.model.get_layer(HEAD)(thinned)).mean(axis=(1, 2))
    ours = extract_head(network).draw(top.mean(axis=(1, 2)), DRAWS)[0]
    assert ours.std(axis=0).min() > 0.01
    assert ours.mean(axis=0) == pytest.approx(theirs.mean(axis=0), abs=0.1 * float(theirs.std()))
    assert np.cov(ours.T) == pytest.approx(np.cov(theirs.T), abs=0.12 * float(np.cov(theirs.T).max()))
    assert min(ks_2samp(ours[:, place], theirs[:, place]).pvalue for place in range(ours.shape[1])) > 0.001


def test_without_thinning_the_head_gives_the_network_s_logits(
    network: Network, scan: np.ndarray, top: np.ndarray
) -> None:
    logits = np.asarray(network.model(scan, training=False)["logits"])
    assert extract_head(network).logits(top.mean(axis=(1, 2))) == pytest.approx(logits, abs=1e-5)


def test_no_array_of_the_network_is_touched(network: Network, top: np.ndarray) -> None:
    before = arrays_of(network)
    extract_head(network).draw(top.mean(axis=(1, 2)), DRAWS)
    assert changed(before, arrays_of(network)) == set()


def test_switching_the_whole_network_to_training_would_move_its_batch_statistics(
    network: Network, scan: np.ndarray
) -> None:
    copy = small_network(network.config)
    copy.model.set_weights(network.model.get_weights())
    before = arrays_of(copy)
    copy.model(np.repeat(scan, 4, axis=0), training=True)
    assert {path.split("/")[0] for path in changed(before, arrays_of(copy))} >= {"above", "below"}
