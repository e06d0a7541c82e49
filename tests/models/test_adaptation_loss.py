from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax, rel_entr, softmax

from brainslice.errors import ConfigError
from brainslice.models.adaptation_loss import AdaptationLoss, adaptation_targets, tumour_or_healthy
from brainslice.models.losses import CrossEntropyLoss, one_hot

HEALTHY, CLASSES = 2, 4


def drawn(seed: int, n: int = 12) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=3.0, size=(2, n, CLASSES)).astype(np.float32)
    return logits[0], logits[1], rng


def losses(loss: keras.losses.Loss, targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
    return np.asarray(loss.call(keras.ops.convert_to_tensor(targets), keras.ops.convert_to_tensor(logits)))


def nothing(n: int) -> np.ndarray:
    return np.zeros((n, CLASSES), np.float32)


@given(st.integers(0, 2**16))
def test_a_label_of_tumour_costs_minus_log_of_one_minus_the_healthy_probability(seed: int) -> None:
    logits, teacher, rng = drawn(seed)
    tumours = rng.random(len(logits)) < 0.5
    targets = adaptation_targets(tumour_or_healthy(tumours, HEALTHY, CLASSES), teacher, nothing(len(logits)))
    healthy = softmax(logits.astype(np.float64), axis=1)[:, HEALTHY]
    expected = np.where(tumours, -np.log1p(-healthy), -np.log(healthy))
    assert losses(AdaptationLoss(), targets, logits) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@given(st.integers(0, 2**16))
def test_where_one_class_is_allowed_it_is_cross_entropy(seed: int) -> None:
    logits, teacher, rng = drawn(seed)
    allowed = one_hot(rng.integers(CLASSES, size=len(logits)), CLASSES)
    targets = adaptation_targets(allowed, teacher, nothing(len(logits)))
    assert losses(AdaptationLoss(), targets, logits) == pytest.approx(
        losses(CrossEntropyLoss(), allowed, logits), rel=1e-4, abs=1e-5
    )


@given(st.integers(0, 2**16))
def test_distillation_is_the_divergence_of_the_softened_answers(seed: int) -> None:
    logits, teacher, _ = drawn(seed)
    everything = np.ones((len(logits), CLASSES), np.float32)
    wanted = softmax(teacher.astype(np.float64) / 3, axis=1)
    found = np.exp(log_softmax(logits.astype(np.float64) / 3, axis=1))
    expected = 0.5 * 9 * rel_entr(wanted, found).sum(axis=1)
    targets = adaptation_targets(everything, teacher, everything)
    assert losses(AdaptationLoss(0.5, 3.0), targets, logits) == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_among_the_tumours_only_their_proportions_are_kept() -> None:
    logits, teacher, _ = drawn(1)
    types = tumour_or_healthy(np.ones(len(logits), bool), HEALTHY, CLASSES)
    targets = adaptation_targets(types, teacher, types)
    shifted = teacher.copy()
    shifted[:, HEALTHY] += 5
    same_types = adaptation_targets(np.ones_like(types), shifted, types)
    assert losses(AdaptationLoss(), same_types, teacher) == pytest.approx(0, abs=1e-5)
    assert (losses(AdaptationLoss(), targets, logits) > losses(AdaptationLoss(0.0), targets, logits)).all()


def test_a_label_of_tumour_pushes_the_healthy_logit_alone_and_leaves_the_types_their_order() -> None:
    """The gradient is p - p(·|tumour): the tumours share what the healthy class loses, as they stand."""
    logits, teacher, _ = drawn(3, n=1)
    targets = adaptation_targets(tumour_or_healthy(np.array([True]), HEALTHY, CLASSES), teacher, nothing(1))
    step = 1e-3
    slopes = np.array(
        [
            (
                losses(AdaptationLoss(), targets, logits + step * one)
                - losses(AdaptationLoss(), targets, logits - step * one)
            )[0]
            / (2 * step)
            for one in np.eye(CLASSES, dtype=np.float32)
        ]
    )
    chances = softmax(logits[0].astype(np.float64))
    given_tumour = np.where(np.arange(CLASSES) == HEALTHY, 0, chances) / (1 - chances[HEALTHY])
    assert slopes == pytest.approx(chances - given_tumour, abs=2e-3)


def test_one_loss_a_scan_so_that_scans_can_be_weighed() -> None:
    logits, teacher, _ = drawn(0)
    targets = adaptation_targets(np.ones_like(logits), teacher, np.ones_like(logits))
    assert losses(AdaptationLoss(), targets, logits).shape == (len(logits),)


def test_it_can_be_made_again_from_what_it_says_of_itself() -> None:
    again = AdaptationLoss.from_config(AdaptationLoss(0.3, 4.0).get_config())
    assert (again.distillation, again.temperature) == (0.3, 4.0)


@pytest.mark.parametrize("words", [(-0.1, 1.0), (1.0, 0.0)])
def test_weights_below_zero_and_temperatures_not_above_are_refused(words: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match="distillation must be at least 0"):
        AdaptationLoss(*words)
