"""The recipe ``full`` (A8): the head on a frozen backbone, then the whole network."""

from __future__ import annotations

import numpy as np

from brainslice.network.augment import augmentation, train_ready
from brainslice.network.build import Stage, set_trainable
from brainslice.train.feed import Feed, Inputs, Rows
from brainslice.train.history import Epoch
from brainslice.train.stage import Course, Examiner, run_stage
from brainslice.train.task import Task

_SCORING_BATCH = 64


def fit_full(task: Task) -> tuple[Epoch, ...]:
    """Train a network's head, then all of it, and leave it with the weights that validated best.

    Args:
        task: What to train, on what, how.

    Returns:
        What happened in each epoch.
    """
    train = task.config.train
    model = train_ready(task.network, augmentation(task.augment_plan, task.config.seed))
    lesson = task.lesson()

    def fetch(rows: Rows, _: np.random.Generator) -> Inputs:
        return np.asarray(task.inputs[rows, ..., np.newaxis], np.float32)

    feed = Feed(lesson, fetch, task.shuffle)
    held_out = fetch(task.split.validation, np.random.default_rng(0))
    examine = Examiner(
        lambda: np.asarray(task.network.whole.predict(held_out, batch_size=_SCORING_BATCH, verbose=0)["logits"]),
        task.labels[task.split.validation],
    )
    fingerprint = task.fingerprint()
    epochs: tuple[Epoch, ...] = ()
    frozen = min(train.freeze_backbone_epochs, train.epochs)
    stages: tuple[tuple[Stage, int], ...] = (("head", frozen), ("all", train.epochs - frozen))
    for name, count in stages:
        if count < 1:
            continue
        set_trainable(task.network, name)
        course = Course(fingerprint, task.workspace / f"{name}.npz", epochs, task.progress)
        epochs = run_stage(model, feed, examine, task.stage(name, count, train.lr), course)
    return epochs
