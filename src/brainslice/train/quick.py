"""The recipe ``quick``: train above the cut only, from activations that were computed once.

The trunk never changes, so its activations of every scan and of a few augmented views of it are cached. First the head
learns from pooled features, then the last blocks and the head together. MixUp blends activations at the cut, where it
would blend pictures in the recipe ``full`` (manifold MixUp).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from jaxtyping import Float32

from brainslice.arrays import Logits
from brainslice.network.augment import augmentation, reseed
from brainslice.network.build import HEAD, pooled_features, set_trainable
from brainslice.network.weights import weights_digest
from brainslice.train.activations import Activations, Shelf, Trunk, Views, fill
from brainslice.train.feed import Feed, Inputs, Rows
from brainslice.train.history import Epoch
from brainslice.train.stage import Course, Examiner, run_stage
from brainslice.train.task import Task

_SCORING_BATCH = 64

_HEAD_VIEWS = 2
"""The head is only a start for the tail: the scans themselves and one view of them are enough for it."""

_KEPT_IN_MEMORY = 4 << 30
"""Bytes of activations that are read into memory as a whole; more than this stays on the disk."""


def fit_quick(task: Task, trunk: Trunk) -> tuple[Epoch, ...]:
    """Train a network above the cut and leave it with the weights that validated best.

    Args:
        task: What to train, on what, how.
        trunk: Gives the activations at the cut of a batch of views, fast.

    Returns:
        What happened in each epoch.
    """
    fingerprint = task.fingerprint()
    seen = _Seen(task, _all_views(task, trunk))
    epochs = _train_head(task, seen, Course(fingerprint, task.workspace / "head.npz", (), task.progress))
    if task.config.train.quick.epochs < 1:
        return epochs
    return _train_tail(task, seen, Course(fingerprint, task.workspace / "tail.npz", epochs, task.progress))


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """The activations of the scans themselves (first) and of their random views."""

    task: Task
    views: tuple[Activations, ...]

    def fetch(self, rows: Rows, generator: np.random.Generator) -> Inputs:
        chosen = generator.integers(len(self.views), size=len(rows))
        return _gather(self.views, chosen, rows)

    def held_out(self) -> Inputs:
        return np.asarray(self.views[0][self.task.split.validation], np.float32)


def _all_views(task: Task, trunk: Trunk) -> tuple[Activations, ...]:
    config, network = task.config, task.network
    shape = tuple(network.trunk.output.shape[1:])
    chance = augmentation(task.augment_plan, config.seed)
    frozen = weights_digest(network.trunk)
    views = []
    for number in range(1 + (config.train.quick.views if config.augment.enabled else 0)):
        drawn = (config.seed, number, repr(task.augment_plan)) if number else ()
        shelf = Shelf(task.cache, (task.content, frozen, network.plan.backbone, *drawn), shape)
        rows = task.split.train if number else np.concatenate([task.split.train, task.split.validation])

        def look(scans: Views, block: int, number: int = number) -> Views:
            if number == 0:
                return scans
            reseed(chance, (config.seed, number, block))
            return np.asarray(chance(scans, training=True))

        views.append(fill(shelf, task.inputs, rows, look, trunk, task.progress))
    if sum(view.nbytes for view in views) <= _KEPT_IN_MEMORY:
        return tuple(np.array(view) for view in views)
    return tuple(views)


def _train_head(task: Task, seen: _Seen, course: Course) -> tuple[Epoch, ...]:
    pooled = [_pool(task, view) for view in seen.views[:_HEAD_VIEWS]]
    head = task.network.whole.get_layer(HEAD)
    features = keras.Input(pooled[0].shape[1:])
    dropped = keras.layers.Dropout(task.network.plan.dropout, seed=task.config.seed)(features)
    model = keras.Model(features, head(dropped), name="head")
    set_trainable(task.network, "head")

    def fetch(rows: Rows, generator: np.random.Generator) -> Inputs:
        chosen = generator.integers(len(pooled), size=len(rows))
        return _gather(pooled, chosen, rows)

    held_out = pooled[0][task.split.validation]
    examine = Examiner(lambda: _predict(model, held_out), task.labels[task.split.validation])
    quick = task.config.train.quick
    plan = task.stage("head", quick.head_epochs, quick.head_lr)
    return run_stage(model, Feed(task.lesson(), fetch, task.shuffle), examine, plan, course)


def _train_tail(task: Task, seen: _Seen, course: Course) -> tuple[Epoch, ...]:
    tail = task.network.tail
    model = keras.Model(tail.inputs, tail.output["logits"], name="tail_logits")
    set_trainable(task.network, "tail")
    held_out = seen.held_out()
    examine = Examiner(lambda: _predict(model, held_out), task.labels[task.split.validation])
    quick = task.config.train.quick
    plan = task.stage("tail", quick.epochs, quick.lr, quick.minutes)
    return run_stage(model, Feed(task.lesson(), seen.fetch, task.shuffle), examine, plan, course)


def _pool(task: Task, view: Activations) -> Float32[np.ndarray, "n features"]:
    model = pooled_features(task.network)
    rows = np.concatenate([task.split.train, task.split.validation])
    pooled = np.zeros((len(view), model.output.shape[-1]), np.float32)
    for start in range(0, len(rows), _SCORING_BATCH):
        some = rows[start : start + _SCORING_BATCH]
        pooled[some] = np.asarray(model.predict_on_batch(view[some].astype(np.float32)))
        task.progress("pooling features", start + len(some), len(rows))
    return pooled


def _gather(views: Sequence[np.ndarray], chosen: Rows, rows: Rows) -> Inputs:
    return np.stack([views[view][row] for view, row in zip(chosen, rows, strict=True)], dtype=np.float32)


def _predict(model: keras.Model, inputs: Inputs) -> Logits:
    return np.asarray(model.predict(inputs, batch_size=_SCORING_BATCH, verbose=0))
