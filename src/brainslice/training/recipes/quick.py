"""Recipe ``quick``: train above the cut only, on cached activations.

The activations of every image and of a few augmented views are cached. A linear head is first trained on pooled
features, then together with the last blocks; the pyramid head is trained with the last blocks only. With lesion masks,
the covered share of each cell is one more channel of the activations. MixUp mixes activations (manifold MixUp), where
the recipe ``full`` mixes images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import keras
import numpy as np

from brainslice.array_types import Float16, Float32
from brainslice.arrays import Logits
from brainslice.models import HEAD, pooled_features, set_trainable, weights_digest, with_positions
from brainslice.training.batches import BatchSequence, Inputs, Rows
from brainslice.training.history import Epoch
from brainslice.training.recipes.feature_cache import (
    CachedFeatures,
    FrozenFeatures,
    FrozenPart,
    RandomViews,
    Views,
    cache_views,
)
from brainslice.training.stage import StageContext, ValidationScorer, run_stage
from brainslice.training.task import TrainingTask

_SCORING_BATCH = 64

_HEAD_VIEWS = 2
"""Number of views the head is trained on first."""

_MAX_IN_MEMORY = 4 << 30
"""Bytes of activations up to which they are read into memory; beyond, they stay memory-mapped."""


def fit_quick(task: TrainingTask, frozen_part: FrozenPart) -> tuple[Epoch, ...]:
    """Train a network above the cut; it ends with the weights with the best validation score."""
    fingerprint = task.fingerprint()
    activations = _Activations(task, _all_views(task, frozen_part))
    epochs: tuple[Epoch, ...] = ()
    if task.config.model.head == "linear":
        epochs = _train_head(
            task,
            activations,
            StageContext(fingerprint, task.workspace / "head.npz", (), task.progress, task.each_epoch),
        )
    if task.config.train.quick.epochs < 1:
        return epochs
    return _train_tail(
        task,
        activations,
        StageContext(fingerprint, task.workspace / "tail.npz", epochs, task.progress, task.each_epoch),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Activations:
    """Activations of the scans (first) and of their random views."""

    task: TrainingTask
    views: tuple[_View, ...]

    def fetch(self, rows: Rows, generator: np.random.Generator) -> Inputs:
        chosen = generator.integers(len(self.views), size=len(rows))
        return _gather(self.views, chosen, rows)

    def held_out(self) -> Inputs:
        channels = self.task.network.frozen_part.output.shape[-1]
        return np.asarray(self.views[0].scans[self.task.split.validation][..., :channels], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """Activations of the scans and, in files of their own, of the counterfactual images."""

    scans: FrozenFeatures
    extra: Float16[np.ndarray, "m ah aw c"]

    def __getitem__(self, row: int) -> Float16[np.ndarray, "ah aw c"]:
        count = len(self.scans)
        activations: Float16[np.ndarray, "ah aw c"] = self.scans[row] if row < count else self.extra[row - count]
        return activations


def _all_views(task: TrainingTask, frozen_part: FrozenPart) -> tuple[_View, ...]:
    """Compute the activations; those of scans serve every fold, counterfactual images are made of training scans."""
    images, count = task.images, len(task.inputs)
    training = images.rows[images.rows < count]
    key: tuple[str, ...] = ()
    if images.outlines is not None:
        key = (hashlib.sha256(images.outlines[:count].tobytes()).hexdigest(),)
    scans = _views(task, frozen_part, key, slice(0, count), (np.union1d(training, task.split.validation), training))
    rows = images.rows[images.rows >= count] - count
    extra = tuple(view[:0] for view in scans)
    if len(rows):
        extra = _views(task, frozen_part, ("extra", images.digest), slice(count, len(images)), (rows, rows))
    if sum(view.nbytes for view in (*scans, *extra)) <= _MAX_IN_MEMORY:
        scans, extra = tuple(map(np.array, scans)), tuple(map(np.array, extra))
    return tuple(map(_View, scans, extra))


def _views(
    task: TrainingTask, frozen_part: FrozenPart, key: tuple[str, ...], part: slice, rows: tuple[Rows, Rows]
) -> tuple[FrozenFeatures, ...]:
    config, network = task.config, task.network
    *cells, channels = network.frozen_part.output.shape[1:]
    return cache_views(
        CachedFeatures(
            task.cache,
            (task.content, *key, weights_digest(network.frozen_part), network.config.backbone),
            (*cells, channels + task.outlines),
        ),
        (part.stop - part.start, lambda some: task.images.batch(some + part.start)),
        rows,
        RandomViews(config.train.quick.views if config.augment.enabled else 0, task.augmentation_config, config.seed),
        partial(_with_coverage, frozen_part) if task.outlines else frozen_part,
        task.progress,
    )


def _with_coverage(frozen_part: FrozenPart, views: Views) -> Float32[np.ndarray, "b ah aw c"]:
    """Compute the activations, and append the share of each cell that the mask in the second channel covers."""
    activations = frozen_part(views[..., :1])
    rows, columns = activations.shape[1:3]
    count, height, width, _ = views.shape
    cells = views[..., 1].reshape(count, rows, height // rows, columns, width // columns).mean(axis=(2, 4)) / 255
    return np.concatenate([activations, cells[..., np.newaxis].astype(np.float32)], axis=-1)


def _train_head(task: TrainingTask, activations: _Activations, context: StageContext) -> tuple[Epoch, ...]:
    pool = pooled_features(task.network)
    pooled = [_pool(task, pool, view) for view in activations.views[:_HEAD_VIEWS]]
    head = task.network.model.get_layer(HEAD)
    features = keras.Input(pooled[0].shape[1:])
    dropped = keras.layers.Dropout(task.network.config.dropout, seed=task.config.seed)(features)
    model = keras.Model(features, head(dropped), name="head")
    set_trainable(task.network, "head")

    def fetch(rows: Rows, generator: np.random.Generator) -> Inputs:
        chosen = generator.integers(len(pooled), size=len(rows))
        return _gather(pooled, chosen, rows)

    held_out = pooled[0][task.split.validation]
    scorer = ValidationScorer(lambda: _predict(model, held_out), task.labels[task.split.validation])
    quick = task.config.train.quick
    config = task.stage("head", quick.head_epochs, quick.head_lr)
    data = replace(task.training_data(), known=None)
    return run_stage(model, BatchSequence(data, fetch, task.shuffle), scorer, config, context)


def _train_tail(task: TrainingTask, activations: _Activations, context: StageContext) -> tuple[Epoch, ...]:
    tail = task.network.trainable_part
    scoring = model = keras.Model(tail.inputs[0], tail.output["logits"], name="tail_logits")
    if task.outlines:
        *cells, channels = tail.inputs[0].shape[1:]
        inputs = keras.Input((*cells, channels + 1))
        outputs = with_positions(tail(inputs[..., :-1]), inputs[..., -1:])
        model = keras.Model(inputs, outputs, name="tail_positions")
    set_trainable(task.network, "tail")
    held_out = activations.held_out()
    scorer = ValidationScorer(lambda: _predict(scoring, held_out), task.labels[task.split.validation])
    quick = task.config.train.quick
    config = task.stage("tail", quick.epochs, quick.lr, quick.minutes)
    return run_stage(
        model, BatchSequence(task.training_data(), activations.fetch, task.shuffle), scorer, config, context
    )


def _pool(task: TrainingTask, model: keras.Model, view: _View) -> Float32[np.ndarray, "n features"]:
    channels = task.network.frozen_part.output.shape[-1]
    rows = np.concatenate([task.images.rows, task.split.validation])
    pooled = np.zeros((len(task.images), model.output.shape[-1]), np.float32)
    for start in range(0, len(rows), _SCORING_BATCH):
        some = rows[start : start + _SCORING_BATCH]
        activations = _gather([view], np.zeros_like(some), some)[..., :channels]
        pooled[some] = np.asarray(model.predict_on_batch(activations))
        task.progress("pooling features", start + len(some), len(rows))
    return pooled


def _gather(views: Sequence[_View | np.ndarray], chosen: Rows, rows: Rows) -> Inputs:
    return np.stack([views[view][row] for view, row in zip(chosen, rows.tolist(), strict=True)], dtype=np.float32)


def _predict(model: keras.Model, inputs: Inputs) -> Logits:
    return np.asarray(model.predict(inputs, batch_size=_SCORING_BATCH, verbose=0))
