"""Recipe ``full``: train the head on a frozen backbone, then the whole network."""

from __future__ import annotations

import numpy as np

from brainslice.models import Stage, augmentation_layers, set_trainable, train_ready
from brainslice.training.batches import BatchSequence, Inputs, Rows
from brainslice.training.history import Epoch
from brainslice.training.stage import StageContext, ValidationScorer, run_stage
from brainslice.training.task import TrainingTask

_SCORING_BATCH = 64


def fit_full(task: TrainingTask) -> tuple[Epoch, ...]:
    """Train a network's head, then all of it; it ends with the weights with the best validation score."""
    train = task.config.train
    layers = augmentation_layers(task.augmentation_config, task.config.seed)
    model = train_ready(task.network, layers, outlines=task.outlines)

    def fetch(rows: Rows, _: np.random.Generator) -> Inputs:
        return task.images.batch(rows)

    batches = BatchSequence(task.training_data(), fetch, task.shuffle)
    held_out = task.images.batch(task.split.validation)[..., :1]
    scorer = ValidationScorer(
        lambda: np.asarray(task.network.model.predict(held_out, batch_size=_SCORING_BATCH, verbose=0)["logits"]),
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
        context = StageContext(fingerprint, task.workspace / f"{name}.npz", epochs, task.progress, task.each_epoch)
        epochs = run_stage(model, batches, scorer, task.stage(name, count, train.lr), context)
    return epochs
