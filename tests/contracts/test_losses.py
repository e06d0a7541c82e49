"""What every loss must do, and that each does what its name says."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from brainslice.errors import ConfigError
from brainslice.models.losses import CrossEntropyLoss, FocalLoss, LossConfig, RecallWeightedLoss, mixup, one_hot

LOSSES = [
    CrossEntropyLoss(0.1),
    FocalLoss(2.0),
    FocalLoss(0.5, smoothing=0.1),
    RecallWeightedLoss((1.0, 3.0, 1.0, 0.5)),
    RecallWeightedLoss((1.0, 1.0, 4.0, 1.0), smoothing=0.1),
]
LOGITS = np.random.default_rng(0).normal(0, 3, (6, 4)).astype(np.float32)
TARGETS = one_hot(np.array([0, 1, 2, 3, 0, 2]), 4)

every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: f"{loss.name}-{loss.smoothing:g}")


def values(loss: keras.losses.Loss, targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(loss.call(targets, keras.ops.convert_to_tensor(logits)))


def gradients(loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
    seen = tf.Variable(logits)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(loss(tf.constant(targets), seen))
    return tape.gradient(total, seen).numpy()


@every_loss
def test_gives_one_value_a_scan_whatever_lies_beside_it(loss: keras.losses.Loss) -> None:
    whole = values(loss, TARGETS, LOGITS)
    assert whole.shape == (6,)
    assert whole.dtype == np.float32
    for place in range(6):
        alone = values(loss, TARGETS[place : place + 1], LOGITS[place : place + 1])
        np.testing.assert_allclose(alone[0], whole[place], rtol=1e-5)


@every_loss
def test_weights_of_scans_act_scan_by_scan(loss: keras.losses.Loss) -> None:
    weights = np.array([1, 0, 0, 3, 0, 0], np.float32)
    own = values(loss, TARGETS, LOGITS)
    assert float(loss(TARGETS, LOGITS, sample_weight=weights)) == pytest.approx((own[0] + 3 * own[3]) / 6, rel=1e-5)


@every_loss
def test_mixup_s_soft_labels_are_taken(loss: keras.losses.Loss) -> None:
    mixed = mixup(LOGITS, TARGETS, (0.4, 0.4), np.random.default_rng(1)).targets
    assert ((mixed > 0) & (mixed < 1)).any()
    found = values(loss, mixed, LOGITS)
    assert np.isfinite(found).all()
    assert (found > 0).all()


@every_loss
@pytest.mark.parametrize("scale", [0.0, 1.0, 200.0])
def test_certainty_right_or_wrong_has_finite_slopes(loss: keras.losses.Loss, scale: float) -> None:
    for logits in (scale * TARGETS, -scale * TARGETS):
        assert np.isfinite(gradients(loss.call, TARGETS, logits.astype(np.float32))).all()


@every_loss
def test_survives_its_own_description(loss: keras.losses.Loss) -> None:
    again = type(loss).from_config(loss.get_config())
    np.testing.assert_array_equal(values(again, TARGETS, LOGITS), values(loss, TARGETS, LOGITS))


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_the_focal_loss_is_that_of_the_paper(gamma: float) -> None:
    oracle = keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=gamma, from_logits=True, reduction=None)
    expected = keras.ops.convert_to_numpy(oracle(TARGETS, LOGITS))
    np.testing.assert_allclose(values(FocalLoss(gamma), TARGETS, LOGITS), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "loss", [FocalLoss(2.0), FocalLoss(0.7), FocalLoss(0.0)], ids=lambda loss: f"gamma {loss.gamma}"
)
def test_on_a_blend_the_focal_loss_is_the_blend_of_both_losses(loss: FocalLoss) -> None:
    share = np.linspace(0, 1, 6, dtype=np.float32)[:, None]
    blended = share * TARGETS + (1 - share) * TARGETS[::-1]
    expected = share[:, 0] * values(loss, TARGETS, LOGITS) + (1 - share[:, 0]) * values(
        loss, TARGETS[::-1].copy(), LOGITS
    )
    np.testing.assert_allclose(values(loss, blended, LOGITS), expected, rtol=1e-4)


def test_without_gamma_or_weights_both_are_the_cross_entropy() -> None:
    plain = values(CrossEntropyLoss(0.1), TARGETS, LOGITS)
    np.testing.assert_allclose(values(FocalLoss(0.0, 0.1), TARGETS, LOGITS), plain, rtol=1e-5)
    np.testing.assert_allclose(values(RecallWeightedLoss((2.0,) * 4, 0.1), TARGETS, LOGITS), plain, rtol=1e-5)


def test_gamma_takes_weight_from_easy_scans_and_hardly_any_from_hard_ones() -> None:
    targets = one_hot(np.array([0, 0]), 2)
    logits = np.array([[3.0, 0.0], [-2.0, 0.0]], np.float32)
    pulls = [np.abs(gradients(FocalLoss(gamma).call, targets, logits)[:, 0]) for gamma in (0.0, 1.0, 2.0, 4.0)]
    easy, hard = np.array(pulls).T
    assert (np.diff(easy) < 0).all()
    assert easy[2] < 0.02 * easy[0]
    assert hard[2] > 0.8 * hard[0]
    assert (np.diff(easy / hard) < 0).all()


def trained(loss: keras.losses.Loss, seed: int) -> np.ndarray:
    """Fit a line between clouds that overlap, and give the recall of each class on fresh points."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    labels = np.arange(600) % 2
    points = (rng.normal(size=(600, 2)) + labels[:, None]).astype(np.float32)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.compile(keras.optimizers.Adam(0.1), loss)
    model.fit(points, one_hot(labels, 2), batch_size=100, epochs=15, verbose=0)
    fresh = (np.random.default_rng(seed + 1).normal(size=(4000, 2)) + np.arange(4000)[:, None] % 2).astype(np.float32)
    called = model.predict(fresh, batch_size=4000, verbose=0).argmax(axis=1)
    return np.array([(called[kind::2] == kind).mean() for kind in (0, 1)])


def test_a_recall_weight_raises_the_recall_of_its_class_in_training() -> None:
    plain, first, second = (
        trained(loss, 0)
        for loss in (CrossEntropyLoss(), RecallWeightedLoss((4.0, 1.0)), RecallWeightedLoss((1.0, 4.0)))
    )
    assert first[0] > plain[0] + 0.1
    assert second[1] > plain[1] + 0.1
    assert first[1] < plain[1]


def test_smoothing_keeps_a_trained_network_less_sure() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    points = (rng.normal(size=(200, 2)) + 6 * labels[:, None]).astype(np.float32)

    def surest(loss: keras.losses.Loss) -> float:
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
        model.compile(keras.optimizers.Adam(0.1), loss)
        for _ in range(150):
            model.train_on_batch(points, one_hot(labels, 2))
        gap = np.ptp(model.predict(points, batch_size=200, verbose=0), axis=1)
        return float(np.median(1 / (1 + np.exp(-gap))))

    assert surest(CrossEntropyLoss(0.2)) < 0.95
    assert surest(CrossEntropyLoss()) > 0.99


def test_a_tversky_loss_over_a_softmax_batch_is_blind_to_alpha_and_beta() -> None:
    """Why none ships: with rows that sum to one, false negatives and false positives are one number."""

    def tversky(alpha: float, beta: float) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
        def loss(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
            shares = tf.nn.softmax(logits)
            hits = tf.reduce_sum(targets * shares)
            misses = tf.reduce_sum(targets * (1 - shares))
            alarms = tf.reduce_sum((1 - targets) * shares)
            return 1 - hits / (hits + alpha * alarms + beta * misses)

        return loss

    cautious, bold = (gradients(tversky(*pair), TARGETS, LOGITS) for pair in ((0.9, 0.1), (0.1, 0.9)))
    np.testing.assert_allclose(cautious, bold, rtol=1e-4, atol=1e-7)
    # What it promises is what recall weights do: the pull of one class's scans grows against the others'.
    towards, away = (
        np.abs(gradients(RecallWeightedLoss(weights).call, TARGETS, LOGITS)[1]).sum()
        for weights in ((1.0, 4.0, 1.0, 1.0), (1.0, 0.25, 1.0, 1.0))
    )
    assert towards > 4 * away


@pytest.mark.parametrize(
    ("plan", "kind"),
    [
        (LossConfig(), CrossEntropyLoss),
        (LossConfig("focal", 0.1, 3.0), FocalLoss),
        (LossConfig("recall_weighted", recall_weights=(1.0, 2.0)), RecallWeightedLoss),
    ],
)
def test_a_plan_makes_the_loss_it_names(plan: LossConfig, kind: type[CrossEntropyLoss]) -> None:
    made = plan.loss()
    assert type(made) is kind
    assert made.smoothing == plan.smoothing
    assert getattr(made, "gamma", 3.0) == 3.0


@pytest.mark.parametrize(
    ("plan", "fault"),
    [
        (LossConfig("tversky"), "must be cross_entropy, focal or recall_weighted, got 'tversky'"),
        (LossConfig("focal", gamma=-1.0), "gamma must be at least 0"),
        (LossConfig("recall_weighted"), "a number above 0 for each class"),
        (LossConfig("recall_weighted", recall_weights=(1.0, 0.0)), "a number above 0 for each class"),
    ],
)
def test_a_loss_that_cannot_be_meant_is_refused(plan: LossConfig, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        plan.loss()
