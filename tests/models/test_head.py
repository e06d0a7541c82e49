from __future__ import annotations

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest

from brainslice.decision import LinearHead
from brainslice.errors import ConfigError
from brainslice.models.build import Network, NetworkConfig, set_trainable, with_contralateral
from brainslice.models.export import extract_head, predict_network
from brainslice.models.gradcam import compute_gradcam
from brainslice.models.head import FEATURES, HEAD, log_mean_exp
from class_map_heat import heat_from_class_maps
from small_training import small_network

PLAN = NetworkConfig(size=64, weights=None, head="pyramid", healthy=2, dropout=0.3, seed=4)
SCANS = np.random.default_rng(2).integers(0, 256, (5, 64, 64), dtype=np.uint8)


@pytest.fixture(scope="module")
def network() -> Network:
    found = small_network(PLAN)
    layer = found.model.get_layer(HEAD)
    layer.set_weights([np.random.default_rng(3).normal(0, 3, layer.kernel.shape)])
    return found


def maps(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 5, shape).astype(np.float32)


def test_log_mean_exp_equals_the_formula_in_double_precision() -> None:
    values = maps(3, 6, 4, 5)
    expected = np.log(np.exp(values.astype(np.float64)).mean(axis=(1, 2)))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(log_mean_exp(values)), expected, atol=1e-5)


def test_log_mean_exp_lies_between_mean_and_maximum() -> None:
    values = maps(3, 6, 4, 5)
    pooled = keras.ops.convert_to_numpy(log_mean_exp(values))
    assert (pooled >= values.mean(axis=(1, 2))).all()
    assert (pooled <= values.max(axis=(1, 2))).all()


def test_a_constant_added_to_a_map_is_added_to_the_logit() -> None:
    values = maps(3, 6, 4, 5)
    shift = np.array([0, 1, -2, 30, 100], np.float32)
    moved = keras.ops.convert_to_numpy(log_mean_exp(values + shift))
    np.testing.assert_allclose(moved, keras.ops.convert_to_numpy(log_mean_exp(values)) + shift, atol=1e-4)


def test_maps_and_logit_of_the_healthy_class_are_zero(network: Network) -> None:
    logits, class_maps = predict_network(network, SCANS)
    assert not class_maps[..., 2].any()
    np.testing.assert_allclose(logits[:, 2], 0, atol=1e-6)
    assert np.ptp(class_maps[..., 0]) > 0
    assert not network.bias.any()


def test_the_class_maps_have_the_resolution_of_the_cut(network: Network) -> None:
    assert network.map_shape == tuple(network.frozen_part.output.shape[1:3])


@pytest.mark.parametrize("head", ["pyramid", "linear"])
@pytest.mark.parametrize("healthy", [2, None])
def test_gradient_grad_cam_at_the_features_equals_the_class_maps(head: str, healthy: int | None) -> None:
    found = small_network(dataclasses.replace(PLAN, head=head, healthy=healthy))
    classes = np.array([0, 1, 3, 3, 0])
    _, class_maps = predict_network(found, SCANS)
    oracle = compute_gradcam(found, SCANS, classes)
    assert oracle.max() > 0
    cheap = heat_from_class_maps(class_maps, found.bias, classes)
    np.testing.assert_allclose(cheap, oracle, atol=1e-5 * oracle.max())


def test_without_a_healthy_class_maps_are_averaged() -> None:
    found = small_network(dataclasses.replace(PLAN, healthy=None))
    logits, class_maps = predict_network(found, SCANS)
    np.testing.assert_allclose(logits, class_maps.mean(axis=(1, 2)), atol=1e-5)
    assert class_maps.any(axis=(0, 1, 2)).all()


def test_the_stored_head_gives_the_network_s_logits(network: Network) -> None:
    features = keras.Model(network.model.inputs[0], network.model.get_layer(FEATURES).output)
    seen = np.asarray(features(SCANS[..., np.newaxis].astype(np.float32), training=False))
    head = extract_head(network)
    assert head.by_position
    np.testing.assert_allclose(head.logits(seen), predict_network(network, SCANS)[0], atol=1e-4)


def test_contralateral_subtraction_follows_the_formula(network: Network) -> None:
    plain = predict_network(network, SCANS)[1].astype(np.float64)
    evidence = np.log(np.exp(plain[..., [0, 1, 3]]).sum(axis=-1))
    expected = plain - 0.4 * evidence[:, :, ::-1, np.newaxis]
    expected[..., 2] = 0
    logits, class_maps = predict_network(with_contralateral(network, 0.4), SCANS)
    np.testing.assert_allclose(class_maps, expected, atol=1e-4)
    np.testing.assert_allclose(logits, np.log(np.exp(expected).mean(axis=(1, 2))), atol=1e-4)
    assert np.abs(expected - plain).max() > 1


def test_a_mirrored_scan_has_mirrored_maps_after_subtraction(network: Network) -> None:
    changed = with_contralateral(network, 0.4)
    head = extract_head(changed)
    features = np.random.default_rng(5).normal(0, 1, (2, 4, 6, len(head.kernel))).astype(np.float32)
    np.testing.assert_allclose(head.logits(features), head.logits(features[:, :, ::-1]), atol=1e-5)
    assert np.abs(head.logits(features) - extract_head(network).logits(features)).max() > 0.1


def test_the_stored_head_subtracts_too(network: Network, tmp_path: Path) -> None:
    changed = with_contralateral(network, 0.4)
    features = keras.Model(changed.model.inputs[0], changed.model.get_layer(FEATURES).output)
    seen = np.asarray(features(SCANS[..., np.newaxis].astype(np.float32), training=False))
    extract_head(changed).save(tmp_path / "head.npz")
    head = LinearHead.read(tmp_path / "head.npz")
    assert (head.contralateral, head.healthy) == (0.4, 2)
    logits = predict_network(changed, SCANS)[0]
    np.testing.assert_allclose(head.logits(seen), logits, atol=1e-4)
    certain = dataclasses.replace(head, rate=np.zeros_like(head.rate))
    np.testing.assert_allclose(certain.draw(seen, 3), np.repeat(logits[:, np.newaxis], 3, axis=1), atol=1e-4)


def test_a_head_written_before_the_subtraction_subtracts_nothing(network: Network, tmp_path: Path) -> None:
    head = extract_head(network)
    np.savez(tmp_path / "head.npz", kernel=head.kernel, bias=head.bias, rate=head.rate, by_position=True)
    assert LinearHead.read(tmp_path / "head.npz").contralateral == 0


@pytest.mark.parametrize("plan", [dataclasses.replace(PLAN, head="linear"), dataclasses.replace(PLAN, healthy=None)])
def test_other_heads_subtract_nothing(plan: NetworkConfig) -> None:
    found = small_network(plan)
    assert with_contralateral(found, 0.4) is found


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_invalid_shares_are_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="contralateral"):
        dataclasses.replace(PLAN, contralateral=share)


def test_the_head_stage_trains_the_layers_between_backbone_and_dense_layer() -> None:
    found = small_network(PLAN)
    set_trainable(found, "head")
    trained = {weight.path.split("/")[0] for weight in found.model.trainable_weights}
    assert trained == {"pyramid_top", "pyramid_cut", "pyramid_mix", HEAD}
