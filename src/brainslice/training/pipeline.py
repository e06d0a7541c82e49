"""From a prepared set to a bundle."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import keras

from brainslice.bundle.store import ModelBundle
from brainslice.config import Config, ModelConfig
from brainslice.counterfactual import OutlinedScans
from brainslice.dataset.cache import decode_outlines, decode_scans
from brainslice.dataset.manifest import Manifest
from brainslice.dataset.splits.known_datasets import NICKPARVAR
from brainslice.dataset.splits.split import check_leaks
from brainslice.dataset.splits.split_assignment import SplitAssignment, assign_split
from brainslice.errors import ConfigError, LeakError
from brainslice.models.build import Network, NetworkConfig, build
from brainslice.models.weights import SHIPPED_WEIGHTS
from brainslice.paths import ProjectPaths, writes_project
from brainslice.preprocessing.recipe import Recipe
from brainslice.progress import Progress, silent
from brainslice.training.bundle import BundleResult, make_bundle
from brainslice.training.history import Epoch, write_events, write_history, write_log
from brainslice.training.lesions import TrainingPictures, add_counterfactuals
from brainslice.training.recipes.frozen_features import fast_frozen_part
from brainslice.training.recipes.full import fit_full
from brainslice.training.recipes.quick import fit_quick
from brainslice.training.task import TrainingTask


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What training left.

    Attributes:
        bundle: The model with everything predictions need.
        epochs: What happened in each epoch.
        notes: What a person should know about this training, a line each.
    """

    bundle: ModelBundle
    epochs: tuple[Epoch, ...]
    notes: tuple[str, ...]


@writes_project("training")
def train(
    places: ProjectPaths,
    config: Config,
    *,
    division: SplitAssignment | None = None,
    accept_leaks: bool = False,
    progress: Progress = silent,
) -> TrainingResult:
    """Train a network on a prepared set and leave a bundle.

    Training scans train, validation scans choose weights and temperature, test scans are not touched. Interrupted, it
    goes on from its last finished epoch. Bundle, ``best.keras`` and history are each written whole or not at all.

    Args:
        places: Where the project keeps what.
        config: All settings; ``data.protocol`` and ``data.test_fold`` choose the split.
        division: Scans and split to train with instead; they lie where the prepared set does.
        accept_leaks: Train although groups cross the split; everything that comes of it is marked leaky.
        progress: Hears how far it is.

    Raises:
        DatasetError: There is no prepared set, or it is damaged.
        LeakError: Groups cross the split and nobody accepted that, or the first weights saw the test scans.
        ConfigError: The weights file or a setting cannot be meant.
        ResourceError: The disk is full.
    """
    division = division or assign_split(Manifest.read(places.data), config)
    manifest, split = division.manifest, division.split
    check_leaks(split, accepted=accept_leaks)
    _refuse_what_saw_the_test(config, manifest)
    recipe = Recipe(size=config.data.image_size)
    network = _fresh_network(config, manifest)
    task = TrainingTask(
        network=network,
        pictures=_training_pictures(division, recipe, config, places, progress),
        split=split,
        config=config,
        content=content_digest(manifest, recipe),
        cache=places.cache,
        workspace=places.workspace,
        progress=progress,
    )
    epochs = _fit(task)
    _write_logs(epochs, places, config)
    finished: BundleResult = make_bundle(task, manifest, recipe, places)
    shutil.rmtree(places.workspace, ignore_errors=True)
    return TrainingResult(finished.bundle, epochs, (*_cut_short(config, epochs), *finished.notes))


def _training_pictures(
    division: SplitAssignment, recipe: Recipe, config: Config, places: ProjectPaths, progress: Progress
) -> TrainingPictures:
    """Give the scans, and counterfactual pictures of them where outlines are known and wanted."""
    manifest, train = division.manifest, division.split.train
    labels, healthy = manifest.label_indices, manifest.labels.healthy_index
    settings = config.train.lesion
    outlined = bool(settings.weight) and manifest.masks is not None
    if outlined and config.augment.enabled and config.augment.mixup:
        msg = "augment.mixup must be false for a set with outlines, got true; or set train.lesion.weight to 0"
        raise ConfigError(msg)
    inputs = decode_scans(manifest, recipe, places.cache, progress)
    if not outlined:
        return TrainingPictures.plain(inputs, labels, train)
    outlines = decode_outlines(manifest, recipe, places.cache, progress)
    scans = OutlinedScans(inputs, outlines, labels, healthy, train)
    return add_counterfactuals(scans, settings, config.seed, places.cache, progress)


def content_digest(manifest: Manifest, recipe: Recipe) -> str:
    """Digest of what the network sees, in order; labels, groups and splits are no part of it."""
    digest = hashlib.sha256(recipe.digest.encode())
    for record in manifest.records:
        digest.update(record.sha256.encode())
    return digest.hexdigest()


def _fresh_network(config: Config, manifest: Manifest) -> Network:
    keras.utils.set_random_seed(config.seed)
    model = config.model
    half = config.train.recipe == "full" and config.train.mixed_precision
    return build(
        NetworkConfig(
            backbone=model.backbone,
            size=config.data.image_size,
            classes=len(manifest.labels),
            dropout=model.dropout,
            weights=_first_weights(model),
            seed=config.seed,
            multi_level=model.multi_level,
            head=model.head,
            healthy=manifest.labels.healthy_index,
            precision="mixed_float16" if half else "float32",
        )
    )


def _first_weights(model: ModelConfig) -> Path | str | None:
    named = {"imagenet": "imagenet", "none": None, "shipped": SHIPPED_WEIGHTS}
    return named[model.weights] if model.weights in named else Path(model.weights)


def _refuse_what_saw_the_test(config: Config, manifest: Manifest) -> None:
    """Our own weights saw most of the set they were trained on: no split of that set can test them honestly."""
    if config.model.weights == "shipped" and manifest.name == NICKPARVAR:
        msg = "model.weights must not be 'shipped' for this data set, it trained them; take imagenet or a local file"
        raise LeakError(msg)


def _fit(task: TrainingTask) -> tuple[Epoch, ...]:
    if task.config.train.recipe == "full":
        return fit_full(task)
    return fit_quick(task, fast_frozen_part(task.network, task.cache))


def _cut_short(config: Config, epochs: tuple[Epoch, ...]) -> tuple[str, ...]:
    done, planned = sum(epoch.stage == "tail" for epoch in epochs), config.train.quick.epochs
    if config.train.recipe != "quick" or done >= planned:
        return ()
    why = f"train.quick.minutes ({config.train.quick.minutes:g}) or early stopping ended it"
    return (f"the last blocks trained {done} of {planned} epochs: {why}; a faster machine may get other weights",)


def _write_logs(epochs: tuple[Epoch, ...], places: ProjectPaths, config: Config) -> None:
    write_history(epochs, places.reports)
    if config.log.csv:
        write_log(epochs, places.logs / "training.csv")
    if config.log.tensorboard:
        write_events(epochs, places.logs / "tensorboard")
