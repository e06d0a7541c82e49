"""What a training run is given, in one value."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import keras

from brainslice.arrays import InputBatch, Labels
from brainslice.config import Config
from brainslice.dataset.splits.split import Split
from brainslice.models.augmentation import AugmentationConfig
from brainslice.models.build import Network
from brainslice.models.losses import LossConfig
from brainslice.models.weights import weights_digest
from brainslice.progress import Progress
from brainslice.training.batches import Shuffle, TrainingData, make_training_data
from brainslice.training.lesions import TrainingPictures
from brainslice.training.stage import StageConfig


@dataclass(frozen=True, slots=True, eq=False)
class TrainingTask:
    """Everything the recipes ``quick`` and ``full`` train from.

    Attributes:
        network: Fresh, with its first weights.
        pictures: All scans of the set as the network sees them, and what is added to them for training.
        split: Which of them train and which validate.
        config: All settings.
        content: Digest of the scans in their order and of how they were made network input.
        cache: Where activations lie, for later runs too.
        workspace: Where checkpoints lie until training is done.
        progress: Who hears how far it is.
    """

    network: Network
    pictures: TrainingPictures
    split: Split
    config: Config
    content: str
    cache: Path
    workspace: Path
    progress: Progress

    @property
    def inputs(self) -> InputBatch:
        """All scans of the set as the network sees them ``(n, h, w)``."""
        return self.pictures.inputs

    @property
    def labels(self) -> Labels:
        """Their classes ``(n,)``."""
        return self.pictures.labels[: len(self.pictures.inputs)]

    @property
    def outlines(self) -> bool:
        """Whether the class maps are supervised position by position."""
        return self.pictures.outlines is not None

    def fingerprint(self) -> str:
        """Digest of everything the result depends on; call it before training."""
        settings = self.config.model_dump(mode="json", include={"seed", "train", "augment", "model"})
        classes = hashlib.sha256(self.labels.tobytes()).hexdigest()
        parts = [settings, self.content, self.pictures.digest, classes, self.split.digest]
        parts += [weights_digest(self.network.model)]
        parts += [keras.__version__, keras.config.backend()]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @property
    def shuffle(self) -> Shuffle:
        """How the training scans are cut into batches, with MixUp where it is on."""
        augment = self.config.augment
        mixing = (augment.mixup_alpha, augment.mixup_beta) if augment.enabled and augment.mixup else None
        return Shuffle(self.config.train.batch_size, self.config.seed, mixing)

    @property
    def augmentation_config(self) -> AugmentationConfig:
        """How far a training view may differ from its scan."""
        return augmentation_config(self.config)

    def training_data(self) -> TrainingData:
        """Set up what is to be learnt from the split's training scans."""
        train, pictures = self.config.train, self.pictures
        data = make_training_data(
            pictures.rows,
            pictures.labels,
            self.network.config.classes,
            weighted=train.class_weights,
            oversampled=train.oversampling,
            seed=self.config.seed,
        )
        return replace(data, known=pictures.known[data.rows]) if self.outlines else data

    def stage(self, name: str, epochs: int, lr: float, minutes: float | None = None) -> StageConfig:
        """Plan one stage after the configuration."""
        train = self.config.train
        return StageConfig(
            name=name,
            epochs=epochs,
            optimizer=train.optimizer,
            lr=lr,
            weight_decay=train.weight_decay,
            cosine=train.cosine_decay,
            warmup_epochs=train.warmup_epochs,
            loss=LossConfig(train.loss, train.label_smoothing, train.focal_gamma, train.recall_weights),
            ema_momentum=train.ema_momentum if train.ema else None,
            patience=train.early_stopping_patience if train.early_stopping else None,
            minutes=minutes,
            position_weight=train.lesion.weight,
            healthy=self.network.config.healthy if self.outlines else None,
        )


def augmentation_config(config: Config) -> AugmentationConfig:
    """Say how far a training view may differ from its scan; not at all where augmentation is off."""
    augment = config.augment
    if not augment.enabled:
        return AugmentationConfig(flip=False, rotation=0.0, zoom=0.0, translation=0.0, brightness=0.0, contrast=0.0)
    return AugmentationConfig(
        flip=augment.flip,
        rotation=augment.rotation_degrees / 360,
        zoom=augment.zoom,
        translation=augment.translation,
        brightness=augment.brightness,
        contrast=augment.contrast,
        gamma=augment.gamma,
        bias_field=augment.bias_field,
        noise=augment.noise,
        blur=augment.blur,
        inversion=augment.inversion,
    )
