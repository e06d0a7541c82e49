"""Networks that are small enough to test with, and awake enough to tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np
import pytest

from brainslice.models.build import Network, NetworkConfig, build_network
from brainslice.models.head import FEATURES, HEAD

if TYPE_CHECKING:
    from collections.abc import Callable


def awaken(network: Network, seed: int = 0) -> Network:
    """Give a fresh network arrays under which every layer matters and logits lie around one."""
    rng = np.random.default_rng(seed)
    for layer in network.model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            count = layer.gamma.shape[0]
            ranges = ((0.8, 1.2), (-0.1, 0.1), (-0.1, 0.1), (0.5, 1.5))
            layer.set_weights([rng.uniform(*ends, count) for ends in ranges])
    head = network.model.get_layer(HEAD)
    features = keras.Model(network.model.input, network.model.get_layer(FEATURES).output)
    size = network.config.size
    seen = keras.ops.convert_to_numpy(features(rng.uniform(0, 255, (2, size, size, 1)).astype(np.float32)))
    spread = 1 / (np.abs(seen).mean() * np.sqrt(seen.shape[-1]))
    head.set_weights([rng.normal(0, spread, head.kernel.shape), rng.normal(0, 1, head.bias.shape)])
    return network


def tiny_network(*before: keras.layers.Layer, seed: int = 0) -> Network:
    """Stand two convolutions in for a backbone: above the cut everything is linear."""
    keras.utils.set_random_seed(seed)
    scan = keras.Input((32, 32, 1), name="scan")
    values = scan
    for layer in (*before, keras.layers.Rescaling(1 / 255, name="normalisation")):
        values = layer(values)
    cut = keras.layers.Conv2D(5, 3, 4, padding="same", activation="relu", name="cut")(values)
    top = keras.layers.Conv2D(7, 3, 2, padding="same", name="top", bias_initializer="normal")(cut)
    features = keras.layers.SpatialDropout2D(0.2, seed=1, name=FEATURES)(top)
    maps = keras.layers.Dense(3, name=HEAD, bias_initializer="normal")(features)
    outputs = {"logits": keras.layers.GlobalAveragePooling2D(name="logits")(maps), "class_maps": maps}
    return Network(
        config=NetworkConfig(size=32, classes=3, weights=None),
        model=keras.Model(scan, outputs, name="whole"),
        frozen_part=keras.Model(scan, cut, name="frozen_part"),
        trainable_part=keras.Model(cut, outputs, name="tail"),
    )


@pytest.fixture(scope="session")
def make_tiny() -> Callable[..., Network]:
    """The maker itself, for tests that need a network of their own."""
    return tiny_network


@pytest.fixture
def tiny() -> Network:
    """A network of two convolutions, on scans of 32 pixels, with three classes."""
    return tiny_network()


@pytest.fixture(scope="session")
def network() -> Network:
    """A real backbone on scans of 64 pixels, awake; tests leave its arrays as they are."""
    return awaken(build_network(NetworkConfig("efficientnetv2-b0", 64, weights=None)))


@pytest.fixture(scope="session")
def scans() -> np.ndarray:
    """Five scans of 64 pixels full of different greys."""
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (5, 64, 64), dtype=np.uint8)
