from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from brainslice.errors import ConfigError
from brainslice.models.build import Network, NetworkConfig, build_network
from brainslice.models.export import predict_network
from brainslice.models.gradcam import _above, compute_gradcam
from class_map_heat import heat_from_class_maps

SMALL = np.random.default_rng(2).integers(0, 256, (4, 32, 32), dtype=np.uint8)


def test_class_maps_and_gradients_say_the_same_at_the_features(network: Network, scans: np.ndarray) -> None:
    classes = np.array([0, 1, 2, 3, 0])
    _, class_maps = predict_network(network, scans)
    cheap = heat_from_class_maps(class_maps, network.bias, classes)
    oracle = compute_gradcam(network, scans, classes)
    assert oracle.shape == (5, 2, 2)
    assert oracle.max() > 0.01
    np.testing.assert_allclose(cheap, oracle, atol=1e-4 * oracle.max())


def test_an_earlier_layers_map_follows_from_how_the_logits_answer_to_it(tiny: Network) -> None:
    # Above the cut the tiny network is linear, so a difference quotient is the gradient, whatever the step.
    classes = np.array([0, 1, 2, 1])
    activations = tiny.frozen_part(SMALL[..., None].astype(np.float32)).numpy()
    _, rows, columns, channels = activations.shape
    basis = np.eye(rows * columns * channels, dtype=np.float32).reshape(-1, rows, columns, channels)
    answers = tiny.trainable_part(basis)["logits"].numpy() - tiny.trainable_part(basis * 0)["logits"].numpy()
    slopes = answers.T.reshape(3, rows, columns, channels)
    weights = slopes[classes].mean(axis=(1, 2), keepdims=True)
    expected = np.maximum((weights * activations).sum(axis=-1), 0)
    heat = compute_gradcam(tiny, SMALL, classes, "cut")
    assert heat.shape == (4, rows, columns)
    assert heat.max() > 0
    np.testing.assert_allclose(heat, expected, atol=1e-5 * expected.max())


def test_a_layer_that_others_bypass_has_a_map_too(network: Network, scans: np.ndarray) -> None:
    heat = compute_gradcam(network, scans[:1], np.array([1]), "block6b_expand_activation")
    assert heat.shape == (1, 2, 2)
    assert np.isfinite(heat).all()


def test_frozen_layers_hide_nothing(tiny: Network) -> None:
    before = compute_gradcam(tiny, SMALL, np.array([0, 1, 2, 0]), "cut")
    tiny.model.trainable = False
    np.testing.assert_array_equal(compute_gradcam(tiny, SMALL, np.array([0, 1, 2, 0]), "cut"), before)


def test_the_bias_speaks_for_no_position() -> None:
    class_maps = np.full((1, 2, 2, 2), 5.0)
    class_maps[0, 1, 0, 1] = 9.0
    heat = heat_from_class_maps(class_maps, np.array([0.0, 5.0]), np.array([1]))
    np.testing.assert_array_equal(heat, [[[0, 0], [1, 0]]])


def test_an_unknown_layer_is_answered_with_the_nearest(tiny: Network) -> None:
    with pytest.raises(ConfigError, match="got 'feature'; did you mean 'features'"):
        compute_gradcam(tiny, SMALL, np.array([0, 1, 2, 0]), "feature")


def test_a_layer_without_positions_is_refused(tiny: Network) -> None:
    with pytest.raises(ConfigError, match="'logits' must give rows, columns and channels"):
        compute_gradcam(tiny, SMALL, np.array([0, 1, 2, 0]), "logits")


def test_where_a_backend_needs_a_layer_nothing_bypasses_another_is_refused(network: Network) -> None:
    inside, end = (network.model.get_layer(f"block6b_{name}").output for name in ("expand_activation", "add"))
    logits = network.model.output["logits"]
    assert _above(end, logits).output.shape == (None, 4)
    with pytest.raises(ConfigError, match="no connection may bypass the layer; choose the end of a block"):
        _above(inside, logits)


@pytest.mark.real
def test_class_maps_and_gradients_agree_with_pretrained_weights(imagenet_weights: Path, scans: np.ndarray) -> None:
    network = build_network(NetworkConfig("efficientnetv2-b0", 64, weights=imagenet_weights))
    classes = np.array([3, 2, 1, 0, 0])
    _, class_maps = predict_network(network, scans)
    oracle = compute_gradcam(network, scans, classes)
    np.testing.assert_allclose(
        heat_from_class_maps(class_maps, network.bias, classes) / oracle.max(), oracle / oracle.max(), atol=1e-4
    )
