"""The recipe ``quick``: train above the cut only, from activations that were computed once.

The frozen part never changes, so its activations of every picture and of a few augmented views are cached. A
linear head first learns from pooled features, then the last blocks and the head together; the pyramid head skips that.
Where outlines are known, the share of each cell that the lesion covers is one more channel of the activations. MixUp
blends activations at the cut, where it would blend pictures in the recipe ``full`` (manifold MixUp).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import keras
import numpy as np
from jaxtyping import Float32

from brainslice.arrays import Logits
from brainslice.models.augmentation import augmentation, reseed, with_positions
from brainslice.models.build import pooled_features, set_trainable
from brainslice.models.head import HEAD
from brainslice.models.weights import weights_digest
from brainslice.training.batches import BatchSequence, Inputs, Rows
from brainslice.training.history import Epoch
from brainslice.training.recipes.feature_cache import CachedFeatures, FrozenFeatures, Trunk, Views, cache_features
from brainslice.training.stage import StageContext, ValidationScorer, run_stage
from brainslice.training.task import TrainingTask

_SCORING_BATCH = 64

_HEAD_VIEWS = 2
"""The head is only a start for the tail: the scans themselves and one view of them are enough for it."""

_KEPT_IN_MEMORY = 4 << 30
"""Bytes of activations that are read into memory as a whole; more than this stays on the disk."""


def fit_quick(task: TrainingTask, trunk: Trunk) -> tuple[Epoch, ...]:
    """Train a network above the cut and leave it with the weights that validated best.

    Args:
        task: What to train, on what, how.
        trunk: Gives the activations at the cut of a batch of views, fast.

    Returns:
        What happened in each epoch.
    """
    fingerprint = task.fingerprint()
    seen = _Seen(task, _all_views(task, trunk))
    epochs: tuple[Epoch, ...] = ()
    if task.config.model.head == "linear":
        epochs = _train_head(task, seen, StageContext(fingerprint, task.workspace / "head.npz", (), task.progress))
    if task.config.train.quick.epochs < 1:
        return epochs
    return _train_tail(task, seen, StageContext(fingerprint, task.workspace / "tail.npz", epochs, task.progress))


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """The activations of the scans themselves (first) and of their random views."""

    task: TrainingTask
    views: tuple[FrozenFeatures, ...]

    def fetch(self, rows: Rows, generator: np.random.Generator) -> Inputs:
        chosen = generator.integers(len(self.views), size=len(rows))
        return _gather(self.views, chosen, rows)

    def held_out(self) -> Inputs:
        channels = self.task.network.frozen_part.output.shape[-1]
        return np.asarray(self.views[0][self.task.split.validation][..., :channels], np.float32)


def _all_views(task: TrainingTask, trunk: Trunk) -> tuple[FrozenFeatures, ...]:
    config, network = task.config, task.network
    *cells, channels = network.frozen_part.output.shape[1:]
    shape = (*cells, channels + 1) if task.outlines else (*cells, channels)
    run = partial(_with_coverage, trunk) if task.outlines else trunk
    pictures = task.pictures
    chance = augmentation(task.augmentation_config, config.seed)
    frozen = weights_digest(network.frozen_part)
    views = []
    for number in range(1 + (config.train.quick.views if config.augment.enabled else 0)):
        drawn = (config.seed, number, repr(task.augmentation_config)) if number else ()
        key = (task.content, *([pictures.digest] if task.outlines else []), frozen, network.config.backbone, *drawn)
        shelf = CachedFeatures(task.cache, key, shape)
        rows = pictures.rows if number else np.concatenate([pictures.rows, task.split.validation])

        def look(scans: Views, block: int, number: int = number) -> Views:
            if number == 0:
                return scans
            reseed(chance, (config.seed, number, block))
            return np.asarray(chance(scans, training=True))

        views.append(cache_features(shelf, (len(pictures), pictures.batch), rows, look, run, task.progress))
    if sum(view.nbytes for view in views) <= _KEPT_IN_MEMORY:
        return tuple(np.array(view) for view in views)
    return tuple(views)


def _with_coverage(trunk: Trunk, views: Views) -> Float32[np.ndarray, "b ah aw c"]:
    """Give the activations of the scans, then the share of each cell that the second channel covers."""
    activations = trunk(views[..., :1])
    rows, columns = activations.shape[1:3]
    count, height, width, _ = views.shape
    cells = views[..., 1].reshape(count, rows, height // rows, columns, width // columns).mean(axis=(2, 4)) / 255
    return np.concatenate([activations, cells[..., np.newaxis].astype(np.float32)], axis=-1)


def _train_head(task: TrainingTask, seen: _Seen, course: StageContext) -> tuple[Epoch, ...]:
    pooled = [_pool(task, view) for view in seen.views[:_HEAD_VIEWS]]
    head = task.network.model.get_layer(HEAD)
    features = keras.Input(pooled[0].shape[1:])
    dropped = keras.layers.Dropout(task.network.config.dropout, seed=task.config.seed)(features)
    model = keras.Model(features, head(dropped), name="head")
    set_trainable(task.network, "head")

    def fetch(rows: Rows, generator: np.random.Generator) -> Inputs:
        chosen = generator.integers(len(pooled), size=len(rows))
        return _gather(pooled, chosen, rows)

    held_out = pooled[0][task.split.validation]
    examine = ValidationScorer(lambda: _predict(model, held_out), task.labels[task.split.validation])
    quick = task.config.train.quick
    plan = task.stage("head", quick.head_epochs, quick.head_lr)
    data = replace(task.training_data(), known=None)
    return run_stage(model, BatchSequence(data, fetch, task.shuffle), examine, plan, course)


def _train_tail(task: TrainingTask, seen: _Seen, course: StageContext) -> tuple[Epoch, ...]:
    tail = task.network.trainable_part
    scoring = model = keras.Model(tail.inputs, tail.output["logits"], name="tail_logits")
    if task.outlines:
        *cells, channels = tail.inputs[0].shape[1:]
        seen_by_network = keras.Input((*cells, channels + 1))
        outputs = with_positions(tail(seen_by_network[..., :-1]), seen_by_network[..., -1:])
        model = keras.Model(seen_by_network, outputs, name="tail_positions")
    set_trainable(task.network, "tail")
    held_out = seen.held_out()
    examine = ValidationScorer(lambda: _predict(scoring, held_out), task.labels[task.split.validation])
    quick = task.config.train.quick
    plan = task.stage("tail", quick.epochs, quick.lr, quick.minutes)
    return run_stage(model, BatchSequence(task.training_data(), seen.fetch, task.shuffle), examine, plan, course)


def _pool(task: TrainingTask, view: FrozenFeatures) -> Float32[np.ndarray, "n features"]:
    model = pooled_features(task.network)
    channels = task.network.frozen_part.output.shape[-1]
    rows = np.concatenate([task.pictures.rows, task.split.validation])
    pooled = np.zeros((len(view), model.output.shape[-1]), np.float32)
    for start in range(0, len(rows), _SCORING_BATCH):
        some = rows[start : start + _SCORING_BATCH]
        pooled[some] = np.asarray(model.predict_on_batch(view[some][..., :channels].astype(np.float32)))
        task.progress("pooling features", start + len(some), len(rows))
    return pooled


def _gather(views: Sequence[np.ndarray], chosen: Rows, rows: Rows) -> Inputs:
    return np.stack([views[view][row] for view, row in zip(chosen, rows, strict=True)], dtype=np.float32)


def _predict(model: keras.Model, inputs: Inputs) -> Logits:
    return np.asarray(model.predict(inputs, batch_size=_SCORING_BATCH, verbose=0))
