"""What every backbone promises: the smallest of each family; with --slow the differently centred and the largest too.

The rest of the family is grown by the same code from the same table, which tests/models/test_backbones.py checks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import keras
import numpy as np
import pytest

from brainslice.models.backbones import get_backbone
from brainslice.models.build import Network, NetworkConfig, build_network, set_trainable
from brainslice.models.export import predict_network
from brainslice.models.gradcam import compute_gradcam
from brainslice.models.head import HEAD
from class_map_heat import heat_from_class_maps

QUICK = ("efficientnetv2-b0", "efficientnet-b0")
LARGER = ("efficientnetv2-s", "efficientnetv2-l", "efficientnet-b7")
SIZE = 64
SCANS = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE), dtype=np.uint8)
PICTURES = SCANS[..., np.newaxis].astype(np.float32)

pytestmark = pytest.mark.slow


@pytest.fixture(
    scope="module",
    params=[
        *QUICK,
        *(pytest.param(name, marks=pytest.mark.slow_only) for name in LARGER),
    ],
)
def network(request: pytest.FixtureRequest) -> Network:
    """Build one without weights, and give its head numbers that can be told from nothing."""
    built = build_network(NetworkConfig(request.param, SIZE, classes=3, weights=None))
    head = built.model.get_layer(HEAD)
    rng = np.random.default_rng(1)
    head.set_weights([rng.normal(0, 100, head.kernel.shape), rng.normal(0, 1, head.bias.shape)])
    return built


def test_gives_logits_and_class_maps_whose_spatial_mean_is_the_logits(network: Network) -> None:
    logits, class_maps = predict_network(network, SCANS)
    assert logits.shape == (3, 3)
    assert class_maps.shape == (3, *network.map_shape, 3) == (3, SIZE // 32, SIZE // 32, 3)
    assert np.ptp(logits, axis=0).max() > 1e-3, "scans must differ, or the test shows nothing"
    np.testing.assert_allclose(class_maps.mean(axis=(1, 2)), logits, rtol=1e-5, atol=1e-5)


def test_frozen_part_then_trainable_part_is_the_whole(network: Network) -> None:
    activations = network.frozen_part(PICTURES, training=False)
    assert activations.shape[1:3] == (SIZE // 16, SIZE // 16)
    halves, whole = network.trainable_part(activations, training=False), network.model(PICTURES, training=False)
    for name in ("logits", "class_maps"):
        np.testing.assert_allclose(halves[name], whole[name], rtol=1e-5, atol=1e-5)


def test_after_the_cut_everything_has_the_final_resolution(network: Network) -> None:
    above = {layer.name for layer in network.trainable_part.layers}
    sizes = {
        layer.output.shape[1]
        for layer in network.model.layers
        if layer.name in above and layer.name.startswith("block") and layer.name.endswith("add")
    }
    assert sizes == {SIZE // 32}


def test_the_tail_shares_its_layers_with_the_whole(network: Network) -> None:
    ours = {id(layer) for layer in network.model.layers}
    for half in (network.frozen_part, network.trainable_part):
        assert {id(layer) for layer in half.layers if layer.weights} <= ours
    assert len(network.frozen_part.weights) + len(network.trainable_part.weights) == len(network.model.weights)


def test_pretrained_batch_normalisation_stays_put_in_training(network: Network) -> None:
    pretrained = replace(network, config=replace(network.config, weights="imagenet"))
    set_trainable(pretrained, "all")
    layers = normalisations(network)
    assert not any(layer.trainable_weights for layer in layers)
    before = [layer.get_weights() for layer in layers]
    network.model(PICTURES, training=True)
    assert all(np.array_equal(*pair) for pair in arrays_of(layers, before))


def test_batch_normalisation_learns_where_everything_starts_from_chance(network: Network) -> None:
    layers = normalisations(network)
    before = [layer.get_weights() for layer in layers]
    set_trainable(network, "all")
    network.model(PICTURES, training=True)
    moved = [not np.array_equal(*pair) for pair in arrays_of(layers, before)]
    for layer, arrays in zip(layers, before, strict=True):
        layer.set_weights(arrays)
    assert sum(moved) == 2 * len(layers)
    for stage in ("head", "tail"):
        set_trainable(network, stage)
        assert not any(layer.trainable_weights for layer in layers)


def normalisations(network: Network) -> list[keras.layers.Layer]:
    found = [layer for layer in network.model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert found
    return found


def arrays_of(
    layers: list[keras.layers.Layer], before: list[list[np.ndarray]]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for layer, arrays in zip(layers, before, strict=True):
        yield from zip(layer.get_weights(), arrays, strict=True)


def test_holds_the_layers_of_its_weights_file_in_the_files_order(network: Network) -> None:
    row = get_backbone(network.config.backbone)
    bare = {"include_preprocessing": False} if row.family == "v2" else {}
    builder = getattr(keras.applications, row.builder)
    theirs = builder(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3), **bare)
    names = [layer.name for layer in theirs.layers if layer.weights and "normalization" not in layer.name]
    assert [layer.name for layer in network.model.layers if layer.weights] == [*names, HEAD]


def test_class_maps_are_what_gradients_say(network: Network) -> None:
    classes = np.array([0, 1, 2])
    _, class_maps = predict_network(network, SCANS)
    oracle = compute_gradcam(network, SCANS, classes)
    cheap = heat_from_class_maps(class_maps, network.bias, classes)
    assert oracle.max() > 0
    np.testing.assert_allclose(cheap / oracle.max(), oracle / oracle.max(), atol=1e-4)
