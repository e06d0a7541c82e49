"""Baselines of adaptation without fine-tuning: thresholds, temperature and BatchNorm statistics, out of fold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import keras
import numpy as np

from brainslice.array_types import Float, Int
from brainslice.arrays import Logits
from brainslice.decision import Criterion, Target, Temperature, TumourScores, search_threshold, tumour_probabilities
from brainslice.evaluation import Method
from brainslice.models import Tensor
from brainslice.progress import Progress
from brainslice.training.adaptation.data import AdaptationData
from brainslice.training.adaptation.finetune import run_model, source_macro_f1, trainable_part_of
from brainslice.training.adaptation.nested_cv import Folds, SiteLabels, find_threshold, outer_folds, tune

_BATCHNORM_SCANS = 256
_SITE_THRESHOLD = "threshold from the site's other folds"
_TINY = 1e-6
"""Added to variances: channels with nearly no variance stay unchanged."""

Channels: TypeAlias = Float[np.ndarray, " channels"]
Activations: TypeAlias = Float[np.ndarray, "_ h w c"]


@dataclass(frozen=True, slots=True, eq=False)
class SourceModel:
    """Outputs of the bundle before adaptation.

    Attributes:
        site: Logits of the site's scans ``(n, k)``.
        held_out: Logits of the source's validation scans ``(v, k)``.
        held_out_labels: Their classes ``(v,)``.
        temperature: The bundle's.
        threshold: The bundle's.
        healthy: Index of the healthy class.
        watched_score: Macro F1 on the source scans that forgetting is measured on.
    """

    site: Logits
    held_out: Float[np.ndarray, "v k"]
    held_out_labels: Int[np.ndarray, " v"]
    temperature: Temperature
    threshold: float
    healthy: int
    watched_score: float

    def source_threshold(self, specificity: float) -> float:
        """Find the lowest threshold that reaches a specificity on the source's validation scans."""
        tumours = self.held_out_labels != self.healthy
        probabilities = tumour_probabilities(self.held_out, self.healthy, self.temperature)
        tuning = TumourScores(probabilities, tumours, np.arange(len(tumours)))
        return search_threshold(Target(Criterion.SPECIFICITY, specificity), tuning).threshold


def source_model_predictions(
    base: SourceModel, folds: Folds, labels: SiteLabels, specificity: float
) -> tuple[Method, ...]:
    """Predict without training: with the bundle as it is, with other thresholds, with another temperature."""
    probabilities = tumour_probabilities(base.site, base.healthy, base.temperature)
    fixed = base.source_threshold(specificity)
    thresholds, recalibrated = np.zeros(len(folds)), np.zeros(len(folds))
    for train, test in outer_folds(folds):
        part = labels.part(train)
        thresholds[test] = find_threshold(base.site[train], part, base.temperature, specificity)
        temperature = tune(base.site[train], part, specificity).temperature
        recalibrated[test] = tumour_probabilities(base.site[test], base.healthy, temperature)
    note = f"the bundle as it is, P(tumour) from {base.threshold:.3g}"
    source_note = f"P(tumour) from {fixed:.3g}: {specificity:.0%} specificity on the source's validation scans"
    score = base.watched_score
    return (
        Method("base", probabilities, probabilities >= base.threshold, note, score),
        Method("base, source threshold", probabilities, probabilities >= fixed, source_note, score),
        Method("threshold only", probabilities, probabilities >= thresholds, _SITE_THRESHOLD, score),
        Method("temperature only", recalibrated, recalibrated >= base.threshold, "the bundle's threshold", score),
    )


def batchnorm_predictions(
    data: AdaptationData, folds: Folds, labels: SiteLabels, specificity: float, progress: Progress
) -> Method:
    """Predict with BatchNorm statistics adapted to the site; labels are used for temperature and threshold only."""
    model = trainable_part_of(data)
    before = model.get_weights()
    probabilities, predictions = np.zeros(len(folds)), np.zeros(len(folds), dtype=np.bool_)
    scores = []
    for number, (train, test) in enumerate(outer_folds(folds)):
        adapt_batchnorm(data.network.trainable_part, data.replay[:_BATCHNORM_SCANS], data.views[0][train])
        logits = run_model(model, data.views[0])
        tuned = tune(logits[train], labels.part(train), specificity)
        probabilities[test] = tumour_probabilities(logits[test], labels.healthy, tuned.temperature)
        predictions[test] = probabilities[test] >= tuned.threshold
        scores.append(source_macro_f1(run_model(model, data.held_out[data.check]), data.held_out_labels[data.check]))
        model.set_weights(before)
        progress("moving BatchNorm statistics", number + 1, int(folds.max()) + 1)
    return Method("BatchNorm statistics", probabilities, predictions, _SITE_THRESHOLD, float(np.mean(scores)))


@dataclass(frozen=True, slots=True, eq=False)
class BatchNormMoments:
    """Mean and variance of each channel, over scans and positions."""

    mean: Channels
    variance: Channels


Observe: TypeAlias = Callable[[keras.layers.BatchNormalization, BatchNormMoments], None]


def adapt_batchnorm(model: keras.Model, source: Activations, site: Activations) -> None:
    """Adapt every BatchNorm layer above the cut in place, from activations at the cut of both sites, without labels.

    BatchNorm layers stay frozen in training, so the layers after them expect the moments that the source's features
    have after normalisation; the site's features are given the same. Where a channel has mean and variance ``m, v`` on
    the source, ``m', v'`` on the site, and the layer the statistics ``M, V``, these become
    ``M' = m' + (M - m)·√(v'/v)`` and ``V' = V·v'/v``: then ``(x - M')/√V'`` has on the site the moments that
    ``(x - M)/√V`` has on the source. The moments of each layer are computed after the layers before it are adapted.

    Reference:
        After Li et al., Revisiting Batch Normalization For Practical Domain Adaptation, 2016.
    """
    source_moments: dict[str, BatchNormMoments] = {}

    def store(layer: keras.layers.BatchNormalization, moments: BatchNormMoments) -> None:
        source_moments[layer.name] = moments

    def adapt(layer: keras.layers.BatchNormalization, moments: BatchNormMoments) -> None:
        before, epsilon = source_moments[layer.name], layer.epsilon
        ratio = (moments.variance + _TINY) / (before.variance + _TINY)
        mean = np.asarray(keras.ops.convert_to_numpy(layer.moving_mean))
        variance = np.asarray(keras.ops.convert_to_numpy(layer.moving_variance))
        layer.moving_mean.assign(moments.mean + (mean - before.mean) * np.sqrt(ratio))
        layer.moving_variance.assign(np.maximum((variance + epsilon) * ratio - epsilon, 0.0))

    _run_observed(model, source, store)
    _run_observed(model, site, adapt)


def _run_observed(model: keras.Model, inputs: Activations, observe: Observe) -> None:
    """Run a model, and call ``observe`` with the input moments of each BatchNorm layer before the layer runs."""

    def wrap(layer: keras.layers.Layer) -> keras.layers.Layer:
        if not isinstance(layer, keras.layers.BatchNormalization):
            return layer
        wrapped = _ObservedBatchNorm(name=f"observed_{layer.name}")
        wrapped.inner, wrapped.observe = layer, observe
        return wrapped

    copy = keras.models.clone_model(model, clone_function=wrap)
    copy(keras.ops.convert_to_tensor(inputs.astype(np.float32)), training=False)


class _ObservedBatchNorm(keras.layers.Layer):
    """A BatchNorm layer that reports the moments of its input."""

    # Keras inspects a layer's constructor, which the shape checks of the tests wrap: so there is none.
    inner: keras.layers.BatchNormalization
    observe: Observe

    def call(self, inputs: Tensor, mask: Tensor = None) -> Tensor:  # noqa: ARG002 - Keras passes it
        mean, variance = keras.ops.moments(inputs, axes=(0, 1, 2))
        moments = BatchNormMoments(keras.ops.convert_to_numpy(mean), keras.ops.convert_to_numpy(variance))
        self.observe(self.inner, moments)
        return self.inner(inputs, training=False)

    def compute_output_spec(self, inputs: Tensor, mask: Tensor = None) -> keras.KerasTensor:  # noqa: ARG002 - as call
        # Inferred, it would run ``call`` on tensors without values, which have no moments.
        return keras.KerasTensor(inputs.shape, inputs.dtype)
