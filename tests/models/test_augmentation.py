from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest

from brainslice.errors import ConfigError
from brainslice.models.augmentation import AugmentationConfig, augmentation_layers, reseed, train_ready
from brainslice.models.build import Network
from brainslice.models.losses import CrossEntropyLoss, one_hot

NOTHING = AugmentationConfig(flip=False, rotation=0.0, zoom=0.0, translation=0.0, brightness=0.0, contrast=0.0)
EVERYTHING = AugmentationConfig(flip=True, rotation=0.5, zoom=0.5, translation=0.5, brightness=0.9, contrast=0.9)
SCANS = np.random.default_rng(0).uniform(0, 255, (8, 24, 24, 1)).astype(np.float32)
SHARES = [field.name for field in dataclasses.fields(AugmentationConfig) if field.name != "flip"]


def changed(plan: AugmentationConfig, scans: np.ndarray = SCANS, seed: int = 5, calls: int = 1) -> np.ndarray:
    layers = augmentation_layers(plan, seed)
    return np.stack([keras.ops.convert_to_numpy(layers(scans, training=True)) for _ in range(calls)])


def test_nothing_changes_in_inference() -> None:
    layers = augmentation_layers(EVERYTHING, 5)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layers(SCANS, training=False)), SCANS)


def test_a_plan_of_nothing_changes_nothing_in_training() -> None:
    np.testing.assert_array_equal(changed(NOTHING)[0], SCANS)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(AugmentationConfig)])
def test_each_share_of_the_plan_changes_scans_by_itself(name: str) -> None:
    plan = dataclasses.replace(NOTHING, **{name: True if name == "flip" else 0.4})
    assert not np.array_equal(changed(plan)[0], SCANS)


def test_the_same_seed_makes_the_same_changes_call_after_call() -> None:
    first, again, other = changed(EVERYTHING, calls=3), changed(EVERYTHING, calls=3), changed(EVERYTHING, seed=6)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], other[0])


def test_reseeded_layers_forget_what_they_drew_before() -> None:
    layers = augmentation_layers(EVERYTHING, 5)

    def drawn(*numbers: int) -> np.ndarray:
        reseed(layers, numbers)
        return keras.ops.convert_to_numpy(layers(SCANS, training=True))

    first, other, again = drawn(5, 0), drawn(5, 1), drawn(5, 0)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_no_grey_value_leaves_its_range_and_scans_differ_in_what_happens_to_them() -> None:
    same = np.broadcast_to(SCANS[:1], SCANS.shape)
    results = changed(EVERYTHING, same, calls=5)
    assert results.min() >= 0
    assert results.max() <= 255
    assert len(np.unique(results[0].reshape(8, -1), axis=0)) == 8


@pytest.mark.parametrize("name", ["rotation", "zoom", "translation"])
def test_what_moves_out_leaves_black_behind(name: str) -> None:
    plan = dataclasses.replace(NOTHING, **{name: 0.45})
    results = changed(plan, np.full((16, 24, 24, 1), 200, np.float32))
    edge = np.concatenate([results[0, :, 0].ravel(), results[0, :, :, 0].ravel()])
    assert (edge == 0).any()
    assert results.max() == pytest.approx(200, abs=1e-3)


def test_left_and_right_are_exchanged_but_never_up_and_down() -> None:
    results = changed(dataclasses.replace(NOTHING, flip=True))[0]
    kinds = {
        "same" if np.array_equal(result, scan) else "mirrored" if np.array_equal(result, scan[:, ::-1]) else "other"
        for result, scan in zip(results, SCANS, strict=True)
    }
    assert kinds == {"same", "mirrored"}


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_that_is_none_is_refused_by_name(name: str, share: float) -> None:
    with pytest.raises(ConfigError, match=rf"augment.{name} must be in \[0, 1\)"):
        AugmentationConfig(**{name: share})


def test_the_training_model_gives_the_networks_own_logits_in_inference(tiny: Network) -> None:
    model = train_ready(tiny, augmentation_layers(EVERYTHING, 5))
    scans = np.random.default_rng(1).uniform(0, 255, (3, 32, 32, 1)).astype(np.float32)
    expected = tiny.model(scans)["logits"]
    np.testing.assert_allclose(model(scans, training=False), expected, atol=1e-6)
    assert not np.allclose(model(scans, training=True), expected, atol=1e-3)


def test_training_the_training_model_trains_the_network(tiny: Network) -> None:
    model = train_ready(tiny, augmentation_layers(AugmentationConfig(), 5))
    model.compile("adam", CrossEntropyLoss(0.1))
    before = tiny.bias.copy()
    scans = np.random.default_rng(1).uniform(0, 255, (6, 32, 32, 1)).astype(np.float32)
    weights = np.ones(6, np.float32)
    model.fit(scans, one_hot(np.arange(6) % 3, 3), sample_weight=weights, verbose=0)
    assert not np.array_equal(tiny.bias, before)
    assert not any("random" in layer.name for layer in tiny.model.layers)


def test_the_training_model_bears_the_precision_by_which_the_loss_is_scaled(tiny: Network) -> None:
    plan = dataclasses.replace(tiny.config, precision="mixed_float16")
    model = train_ready(dataclasses.replace(tiny, config=plan), augmentation_layers(AugmentationConfig(), 5))
    model.compile("adam", CrossEntropyLoss())
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert keras.config.dtype_policy().name == "float32"


def outlined(scans: np.ndarray = SCANS) -> np.ndarray:
    """Give scans whose second channel is 0 or 255, and 255 exactly where the scan is above 128."""
    grey = np.kron(np.random.default_rng(3).random((len(scans), 3, 3)) < 0.5, np.ones((8, 8)))[..., np.newaxis] * 255.0
    return np.concatenate([grey, grey], axis=-1).astype(np.float32)


MOVES = dataclasses.replace(NOTHING, flip=True, rotation=0.1, zoom=0.2, translation=0.2)


def test_an_outline_moves_with_its_scan() -> None:
    found = changed(MOVES, outlined())[0]
    assert not np.array_equal(found, outlined())
    np.testing.assert_allclose(found[..., 0], found[..., 1], atol=1e-3)


@pytest.mark.parametrize("name", ["brightness", "contrast", "gamma", "bias_field", "noise", "blur", "inversion"])
def test_a_change_of_grey_values_leaves_the_outline_alone(name: str) -> None:
    scans = np.concatenate([SCANS, outlined()[..., 1:]], axis=-1)
    found = changed(dataclasses.replace(NOTHING, **{name: 0.4}), scans)[0]
    np.testing.assert_array_equal(found[..., 1:], scans[..., 1:])
    assert not np.array_equal(found[..., :1], scans[..., :1])


SCANNER = dataclasses.replace(NOTHING, gamma=0.6, bias_field=0.3, noise=0.05, blur=0.9, inversion=0.5)


def test_scanner_variation_depends_on_the_seed_alone_and_stays_in_range() -> None:
    first, again, other = changed(SCANNER), changed(SCANNER), changed(SCANNER, seed=6)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.min() >= 0
    assert first.max() <= 255
    assert np.isfinite(first).all()


def test_scanner_variation_changes_nothing_in_inference() -> None:
    found = augmentation_layers(SCANNER, 5)(outlined(), training=False)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(found), outlined())


def test_inversion_leaves_the_air_around_the_head_black() -> None:
    scans = SCANS * (np.arange(24) > 11)[:, np.newaxis]
    found = changed(dataclasses.replace(NOTHING, inversion=0.999), scans)[0]
    assert not found[:, :, :12].any()
    bright = scans > 0.03 * 255
    np.testing.assert_allclose(found[bright], 255 - scans[bright], atol=1e-3)


def test_with_outlines_the_training_model_gives_logits_and_positions(tiny: Network) -> None:
    model = train_ready(tiny, augmentation_layers(MOVES, 5), outlines=True)
    scans = np.random.default_rng(1).uniform(0, 255, (3, 32, 32, 2)).astype(np.float32)
    scans[..., 1] = np.where(scans[..., 1] > 128, 255, 0)
    found, expected = model(scans, training=False), tiny.model(scans[..., :1])
    np.testing.assert_allclose(found["logits"], expected["logits"], atol=1e-5)
    np.testing.assert_allclose(found["positions"][..., :-1], expected["class_maps"], atol=1e-5)
    rows, columns = tiny.map_shape
    cells = scans[..., 1].reshape(3, rows, 32 // rows, columns, 32 // columns).mean(axis=(2, 4)) / 255
    np.testing.assert_allclose(found["positions"][..., -1], cells, atol=1e-5)
