from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from brainslice.errors import ConfigError, DatasetError
from brainslice.models.losses import CrossEntropyLoss, class_weights, mixup, one_hot, sample_weights

LOGITS = np.random.default_rng(0).normal(0, 3, (6, 4)).astype(np.float32)
TARGETS = one_hot(np.array([0, 1, 2, 3, 0, 2]), 4)


def per_scan(loss: CrossEntropyLoss, targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(loss.call(targets, keras.ops.convert_to_tensor(logits)))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_gives_one_value_a_scan_and_it_is_the_cross_entropy(smoothing: float) -> None:
    oracle = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing, reduction=None)
    losses = per_scan(CrossEntropyLoss(smoothing), TARGETS, LOGITS)
    assert losses.shape == (6,)
    np.testing.assert_allclose(losses, keras.ops.convert_to_numpy(oracle(TARGETS, LOGITS)), rtol=1e-5)


def test_smoothing_is_never_satisfied_by_certainty() -> None:
    certain = TARGETS * 50
    assert per_scan(CrossEntropyLoss(0.0), TARGETS, certain).max() < 1e-6
    assert per_scan(CrossEntropyLoss(0.1), TARGETS, certain).min() > 1


def test_weights_act_scan_by_scan() -> None:
    weights = np.array([1, 0, 0, 3, 0, 0], np.float32)
    losses = per_scan(CrossEntropyLoss(), TARGETS, LOGITS)
    total = float(CrossEntropyLoss()(TARGETS, LOGITS, sample_weight=weights))
    assert total == pytest.approx((losses[0] + 3 * losses[3]) / 6, rel=1e-5)


def test_half_precision_logits_are_judged_in_full() -> None:
    losses = per_scan(CrossEntropyLoss(), TARGETS, LOGITS.astype(np.float16))
    assert losses.dtype == np.float32


def test_a_loss_survives_its_own_description() -> None:
    copy = CrossEntropyLoss.from_config(CrossEntropyLoss(0.2).get_config())
    assert copy.smoothing == 0.2


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_smoothing_outside_its_range_is_refused(smoothing: float) -> None:
    with pytest.raises(ConfigError, match=r"smoothing must be in \[0, 1\)"):
        CrossEntropyLoss(smoothing)


@given(st.lists(st.integers(1, 50), min_size=2, max_size=6))
def test_class_weights_let_every_class_count_alike(counts: list[int]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    weights = class_weights(labels, len(counts))
    oracle = compute_class_weight("balanced", classes=np.arange(len(counts)), y=labels)
    np.testing.assert_allclose(weights, oracle, rtol=1e-5)
    assert weights[labels].mean() == pytest.approx(1.0, rel=1e-5)


def test_a_class_without_scans_is_refused_by_number() -> None:
    with pytest.raises(DatasetError, match="got none of class 1"):
        class_weights(np.array([0, 0, 2]), 3)


def test_a_blended_scan_weighs_what_its_parts_weigh() -> None:
    targets = np.array([[1, 0], [0.25, 0.75]], np.float32)
    np.testing.assert_allclose(sample_weights(targets, np.array([2, 4], np.float32)), [2, 3.5])


@given(st.integers(0, 2**32), st.floats(0.1, 5), st.floats(0.1, 5))
def test_pictures_and_labels_are_blended_with_the_same_share(seed: int, alpha: float, beta: float) -> None:
    # Scan i is a picture of class i only, worth 10·2^i everywhere: the picture can be told from the label.
    values = 10.0 * 2.0 ** np.arange(4)
    images = np.broadcast_to(values[:, None, None], (4, 3, 3)).astype(np.uint8)
    mixed = mixup(images, one_hot(np.arange(4), 4), (alpha, beta), np.random.default_rng(seed))
    np.testing.assert_allclose(mixed.targets.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(mixed.images[:, 1, 2], mixed.targets @ values, rtol=1e-4)


def test_the_same_seed_blends_the_same_way() -> None:
    images = np.random.default_rng(3).integers(0, 256, (4, 5, 5, 1), dtype=np.uint8)
    first, second, third = (mixup(images, TARGETS[:4], (0.4, 0.4), np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.images, second.images)
    assert not np.array_equal(first.images, third.images)
    assert first.images.shape == images.shape


def test_shares_follow_the_beta_distribution_that_was_asked_for() -> None:
    images = np.zeros((4000, 1, 1), np.uint8)
    targets = one_hot(np.arange(4000) % 2, 2)
    skewed = mixup(images, targets, (8.0, 2.0), np.random.default_rng(0)).targets
    own = (skewed * targets).sum(axis=1)
    # Half of the partners are of the same class, where the share cannot be seen.
    assert own[own < 1].mean() == pytest.approx(0.8, abs=0.02)


def test_a_share_from_nowhere_is_refused() -> None:
    with pytest.raises(ConfigError, match="above 0, got 0"):
        mixup(np.zeros((2, 1, 1), np.uint8), one_hot(np.array([0, 1]), 2), (0.0, 1.0), np.random.default_rng(0))
