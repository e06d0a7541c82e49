from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import keras
import numpy as np
import pytest

from brainslice.errors import ConfigError, DownloadError
from brainslice.models import build as build_module
from brainslice.models.backbones import IMAGENET_DEVIATION, IMAGENET_MEAN
from brainslice.models.build import (
    Network,
    NetworkConfig,
    build_network,
    in_float32,
    pooled_features,
    set_trainable,
)
from brainslice.models.head import FEATURES, HEAD
from brainslice.models.weights import weights_digest
from small_training import small_network


@pytest.fixture(scope="module")
def mixed() -> Network:
    return build_network(
        NetworkConfig("efficientnetv2-b0", 64, weights=None, multi_level=True, precision="mixed_bfloat16")
    )


def test_the_same_plan_gives_the_same_arrays_and_leaves_pythons_generator_alone(mixed: Network) -> None:
    state = random.getstate()
    plan = NetworkConfig("efficientnetv2-b0", 64, weights=None, multi_level=True)
    again = build_network(plan)
    assert random.getstate() == state
    assert weights_digest(again.model) == weights_digest(mixed.model)


def test_operations_without_a_name_are_named_by_their_place() -> None:
    plan = NetworkConfig(size=64, weights=None, head="pyramid", healthy=2)
    models = [small_network(plan).model for _ in range(2)]
    assert models[0].get_config() != models[1].get_config()
    for model in models:
        build_module._name_operations(model)
    assert models[0].get_config() == models[1].get_config()
    assert len({each.name for each in models[0].operations}) == len(models[0].operations)


def test_another_seed_gives_other_arrays(network: Network, mixed: Network) -> None:
    stem, other = (one.model.get_layer("stem_conv").kernel for one in (network, mixed))
    assert stem.shape == other.shape
    third = (
        build_network(NetworkConfig("efficientnetv2-b0", 64, weights=None, seed=7)).model.get_layer("stem_conv").kernel
    )
    np.testing.assert_array_equal(stem, other)
    assert not np.array_equal(stem, third)


def test_only_the_backbone_is_in_half_precision(mixed: Network) -> None:
    outputs = mixed.model(np.zeros((1, 64, 64, 1), np.float32))
    assert {keras.backend.standardize_dtype(value.dtype) for value in outputs.values()} == {"float32"}
    assert mixed.model.get_layer("top_conv").compute_dtype == "bfloat16"
    assert mixed.model.get_layer(HEAD).compute_dtype == "float32"
    assert keras.config.dtype_policy().name == "float32"


def test_a_float32_copy_holds_the_same_arrays(mixed: Network, network: Network) -> None:
    copy = in_float32(mixed)
    assert weights_digest(copy.model) == weights_digest(mixed.model)
    assert {layer.compute_dtype for layer in copy.model.layers} == {"float32"}
    assert in_float32(network) is network


def test_multi_level_features_are_three_depths_whose_means_are_kept(mixed: Network) -> None:
    names = ("block5e_add", "block6h_add", "top_activation", FEATURES)
    model = keras.Model(mixed.model.input, [mixed.model.get_layer(name).output for name in names])
    scans = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 1)).astype(np.float32)
    means = [keras.ops.convert_to_numpy(value).astype(np.float32).mean(axis=(1, 2)) for value in model(scans)]
    assert means[-1].shape == (2, 112 + 192 + 1280)
    np.testing.assert_allclose(np.concatenate(means[:3], axis=1), means[3], rtol=0.02, atol=1e-3)


def test_multi_level_features_need_a_size_that_divides() -> None:
    with pytest.raises(ConfigError, match="multiple of 32 for multi-level features, got 72"):
        build_network(NetworkConfig("efficientnetv2-b0", 72, weights=None, multi_level=True))


@pytest.mark.parametrize(
    ("stage", "learning_layers"),
    [
        ("head", {HEAD}),
        ("tail", {HEAD, "top_conv", "block6a_expand_conv"}),
        ("all", {HEAD, "top_conv", "block6a_expand_conv", "block5a_expand_conv", "stem_conv"}),
    ],
)
def test_a_stage_says_what_training_may_change(
    network: Network, stage: Literal["head", "tail", "all"], learning_layers: set[str]
) -> None:
    asked = {HEAD, "top_conv", "block6a_expand_conv", "block5a_expand_conv", "stem_conv"}
    set_trainable(network, stage)
    try:
        learning = {layer.name for layer in network.model.layers if layer.trainable_weights}
        assert learning & asked == learning_layers
        assert (learning == {HEAD}) == (stage == "head")
        assert any(name.endswith("_bn") for name in learning) == (stage == "all"), "these start from chance"
    finally:
        set_trainable(network, "all")


@pytest.mark.parametrize(("stages", "shape", "first"), [(2, (16, 16, 32), "block3a"), (3, (8, 8, 48), "block4a")])
def test_fewer_stages_can_be_frozen(stages: int, shape: tuple[int, ...], first: str) -> None:
    network = build_network(NetworkConfig(size=64, weights=None, head="pyramid", healthy=2, frozen_stages=stages))
    assert network.frozen_part.output.shape[1:] == shape
    scans = np.random.default_rng(1).uniform(0, 255, (2, 64, 64, 1)).astype(np.float32)
    activations = network.frozen_part(scans)
    for name, expected in network.model(scans).items():
        np.testing.assert_allclose(network.trainable_part(activations)[name], expected, atol=1e-5)
    assert pooled_features(network)(activations).shape == (2, 1280)
    set_trainable(network, "tail")
    trainable = [layer.name for layer in network.model.layers if layer.trainable and layer.weights]
    assert trainable[0].startswith(first)


def test_pooled_features_are_all_the_head_needs(network: Network) -> None:
    scans = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 1)).astype(np.float32)
    means = keras.ops.convert_to_numpy(pooled_features(network)(network.frozen_part(scans)))
    kernel = keras.ops.convert_to_numpy(network.model.get_layer(HEAD).kernel)
    assert means.shape == (2, 1280)
    np.testing.assert_allclose(means @ kernel + network.bias, network.model(scans)["logits"], atol=1e-4)


def test_the_bias_and_the_shape_of_the_maps_are_told(network: Network) -> None:
    assert network.map_shape == (2, 2)
    np.testing.assert_array_equal(network.bias, network.model.get_layer(HEAD).bias)
    assert network.bias.shape == (4,)


def test_dropout_leaves_out_whole_channels_and_only_in_training(network: Network) -> None:
    layer = network.model.get_layer(FEATURES)
    values = np.ones((2, 2, 2, 1280), np.float32)
    kept = keras.ops.convert_to_numpy(layer(values, training=True))
    assert 0.1 < (kept == 0).mean() < 0.3
    assert ((kept == 0).mean(axis=(1, 2)) % 1 == 0).all()
    np.testing.assert_array_equal(layer(values, training=False), values)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 16}, "at least 32 pixels, got 16"),
        ({"classes": 1}, "classes must be at least 2, got 1"),
        ({"frozen_stages": 1}, "frozen_stages must be from 2 to 5, got 1"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ({"weights": "imaginet"}, "must be 'imagenet', a file or none, got 'imaginet'"),
        ({"backbone": "resnet50"}, "backbone must be one of"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        NetworkConfig(**wrong)


def test_a_download_that_fails_names_the_backbone_and_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(DownloadError, match=r"efficientnetv2-b0 could not be downloaded .*--weights") as caught:
        build_network(NetworkConfig("efficientnetv2-b0", 64))
    assert "\n" not in str(caught.value)


def test_the_first_family_reads_a_file_that_holds_its_own_normalisation_and_keeps_ours(tmp_path: Path) -> None:
    theirs = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(64, 64, 3))
    theirs.get_layer(index=2).set_weights([np.full(3, 9.0), np.full(3, 9.0), np.array(0)])
    theirs.save_weights(tmp_path / "b0.weights.h5")
    ours = build_network(NetworkConfig("efficientnet-b0", 64, weights=tmp_path / "b0.weights.h5")).model
    scans = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 1)).astype(np.float32)
    scores = (scans / 255 - IMAGENET_MEAN) / IMAGENET_DEVIATION
    expected = keras.Model(theirs.get_layer("stem_conv_pad").input, theirs.output)(scores.astype(np.float32))
    features = keras.Model(ours.input, ours.get_layer(FEATURES).output)(scans)
    np.testing.assert_allclose(features, expected, atol=1e-5 * float(keras.ops.max(keras.ops.abs(expected))))


def test_the_weights_of_a_smaller_sister_are_refused(tmp_path: Path, make_tiny: Callable[..., Network]) -> None:
    make_tiny().model.save_weights(tmp_path / "tiny.weights.h5")
    with pytest.raises(ConfigError, match=r"tiny\.weights\.h5: the weights are of another network"):
        build_network(NetworkConfig("efficientnetv2-b0", 64, weights=tmp_path / "tiny.weights.h5"))


def test_an_absent_weights_file_is_refused_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(keras.applications, "EfficientNetV2B0")
    with pytest.raises(ConfigError, match="no such weights file"):
        build_network(NetworkConfig("efficientnetv2-b0", 64, weights=tmp_path / "absent.h5"))


def test_a_saved_network_brings_its_head_along(network: Network, tmp_path: Path) -> None:
    network.model.save(tmp_path / "model.keras")
    again = build_network(NetworkConfig("efficientnetv2-b0", 64, weights=tmp_path / "model.keras"))
    assert weights_digest(again.model) == weights_digest(network.model)
    with pytest.raises(ConfigError, match="class_maps must be"):
        build_network(NetworkConfig("efficientnetv2-b0", 64, classes=3, weights=tmp_path / "model.keras"))


@pytest.mark.real
def test_real_weights_give_the_features_keras_gives(imagenet_weights: Path, real_scans: Path) -> None:
    path = min((real_scans / "nickparvar" / "Testing" / "glioma").iterdir())
    raw = keras.utils.img_to_array(keras.utils.load_img(path, color_mode="grayscale", target_size=(96, 96)))[None]
    ours = build_network(NetworkConfig("efficientnetv2-b0", 96, weights=imagenet_weights)).model
    theirs = keras.applications.EfficientNetV2B0(
        include_top=False, weights=imagenet_weights, input_shape=(96, 96, 3), include_preprocessing=True
    )
    features = keras.Model(ours.input, ours.get_layer(FEATURES).output)(raw)
    expected = theirs(np.repeat(raw, 3, axis=-1))
    assert float(keras.ops.max(keras.ops.abs(expected))) > 1
    np.testing.assert_allclose(features, expected, atol=1e-4)
