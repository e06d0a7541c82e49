"""Inputs and settings of a training run."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, replace
from pathlib import Path

import keras

from brainslice.arrays import InputBatch, Labels
from brainslice.config import Config
from brainslice.dataset import Split
from brainslice.models import AugmentationConfig, Network, weights_digest
from brainslice.progress import Progress
from brainslice.training.batches import Shuffle, TrainingData, make_training_data
from brainslice.training.history import EachEpoch, ignore_epochs
from brainslice.training.lesions import TrainingImages
from brainslice.training.stage import StageConfig


@dataclass(frozen=True, slots=True, eq=False)
class TrainingTask:
    """Inputs and settings of the recipes ``quick`` and ``full``.

    Attributes:
        network: The network with its first weights.
        images: Network inputs of all scans, and counterfactual images.
        split: Rows of the training and validation scans.
        config: All settings.
        content: Digest of the scans, in order, and of their preprocessing.
        cache: Folder of activations, kept for later runs.
        workspace: Folder of checkpoints, deleted after training.
        progress: Called with the step and how far it is.
        imported: Whether the network was trained elsewhere, on scans that are not known.
        each_epoch: Called after each epoch with all epochs so far.
    """

    network: Network
    images: TrainingImages
    split: Split
    config: Config
    content: str
    cache: Path
    workspace: Path
    progress: Progress
    imported: bool = False
    each_epoch: EachEpoch = ignore_epochs

    @property
    def inputs(self) -> InputBatch:
        """Network inputs of all scans ``(n, h, w)``."""
        return self.images.inputs

    @property
    def labels(self) -> Labels:
        """Their classes ``(n,)``."""
        return self.images.labels[: len(self.images.inputs)]

    @property
    def outlines(self) -> bool:
        """Whether the class maps are supervised position by position."""
        return self.images.outlines is not None

    def fingerprint(self) -> str:
        """Compute a digest of everything the result depends on; call it before training."""
        settings = self.config.model_dump(mode="json", include={"seed", "train", "augment", "model"})
        classes = hashlib.sha256(self.labels.tobytes()).hexdigest()
        parts = [settings, self.content, self.images.digest, classes, self.split.digest]
        parts += [weights_digest(self.network.model)]
        parts += [keras.__version__, keras.config.backend()]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @property
    def shuffle(self) -> Shuffle:
        """Settings of the training batches."""
        augment = self.config.augment
        mixing = (augment.mixup_alpha, augment.mixup_beta) if augment.enabled and augment.mixup else None
        return Shuffle(self.config.train.batch_size, self.config.seed, mixing)

    @property
    def augmentation_config(self) -> AugmentationConfig:
        """Settings of the augmentation."""
        return augmentation_config(self.config)

    def training_data(self) -> TrainingData:
        """Make the targets of the training scans."""
        train, images = self.config.train, self.images
        data = make_training_data(
            images.rows,
            images.labels,
            self.network.config.classes,
            weighted=train.class_weights,
            oversampled=train.oversampling,
            seed=self.config.seed,
        )
        return replace(data, known=images.known[data.rows]) if self.outlines else data

    def stage(self, name: str, epochs: int, lr: float, minutes: float | None = None) -> StageConfig:
        """Return the settings of one stage."""
        healthy = self.network.config.healthy if self.outlines else None
        return StageConfig(name, epochs, lr, self.config.train, minutes, healthy)


def augmentation_config(config: Config) -> AugmentationConfig:
    """Return the settings of the augmentation; all zero where it is off."""
    augment = config.augment
    settings = augment.model_dump(include={field.name for field in fields(AugmentationConfig)})
    settings["rotation"] = augment.rotation_degrees / 360
    if not augment.enabled:
        settings.update(dict.fromkeys(settings, 0.0), flip=False)
    return AugmentationConfig(**settings)
