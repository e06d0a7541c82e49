"""Train a network on a prepared set and write its bundle."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import keras

from brainslice.bundle import ModelBundle
from brainslice.config import Config, ModelConfig
from brainslice.counterfactual import OutlinedScans
from brainslice.dataset import (
    NICKPARVAR,
    Manifest,
    SplitAssignment,
    assign_split,
    check_leaks,
    decode_outlines,
    decode_scans,
    scan_deciles,
)
from brainslice.errors import ConfigError, LeakError
from brainslice.models import SHIPPED_WEIGHTS, Network, NetworkConfig, build_network, with_contralateral
from brainslice.paths import ProjectPaths, writes_project
from brainslice.preprocessing import Recipe, mean_landmarks
from brainslice.progress import Progress, silent
from brainslice.training.bundle import BundleResult, make_bundle, second_size
from brainslice.training.history import EachEpoch, Epoch, ignore_epochs, write_logs
from brainslice.training.lesions import TrainingImages, add_counterfactuals
from brainslice.training.recipes.feature_cache import fast_frozen_part
from brainslice.training.recipes.full import fit_full
from brainslice.training.recipes.quick import fit_quick
from brainslice.training.task import TrainingTask
from brainslice.training.tracking import TrackedRun, parameters_of, require_tracker, track

_SECOND: Final = "second_network"
"""Subfolder of logs and reports of the network that sees enlarged scans."""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """Result of a training.

    Attributes:
        bundle: The model bundle.
        epochs: Metrics of each epoch.
        notes: Remarks on calibration and training time, a line each.
    """

    bundle: ModelBundle
    epochs: tuple[Epoch, ...]
    notes: tuple[str, ...]


@writes_project("training")
def train(
    paths: ProjectPaths,
    config: Config,
    *,
    assignment: SplitAssignment | None = None,
    accept_leaks: bool = False,
    progress: Progress = silent,
) -> TrainingResult:
    """Train a network on a prepared set and write its bundle.

    Validation scans choose weights and temperature; test scans are not used. An interrupted run resumes after its last
    finished epoch. Bundle, ``best.keras`` and history are each written atomically.

    Args:
        paths: The project's files and folders.
        config: All settings; ``data.protocol`` and ``data.test_fold`` choose the split.
        assignment: Manifest and split to train with; by default those of ``paths`` and ``config``.
        accept_leaks: Train although groups cross the split; the bundle is marked leaky.
        progress: Called with the step and how far it is.

    Raises:
        DatasetError: There is no prepared set, or it is damaged.
        LeakError: Groups cross the split without ``accept_leaks``, or the first weights were trained on test scans.
        ConfigError: The weights file or a setting is invalid.
        ResourceError: The disk is full.
    """
    require_tracker(config.log)
    assignment = assignment or assign_split(Manifest.read(paths.data), config)
    second_config = _second_config(config, assignment.manifest)
    task, recipe, epochs = fit_network(
        paths, config, assignment=assignment, accept_leaks=accept_leaks, progress=progress
    )
    write_logs(epochs, paths, config.log)
    notes = _early_stop_notes(config, epochs)
    # Trained without the subtraction, which was measured on networks trained so.
    task = replace(task, network=with_contralateral(task.network, config.model.contralateral))
    second = None
    if second_config is not None:
        second, its_notes = _train_second(paths, second_config, assignment, progress)
        notes += its_notes
    result: BundleResult = make_bundle(task, assignment.manifest, recipe, paths, second)
    shutil.rmtree(paths.workspace, ignore_errors=True)
    tracked = track(_tracked_run(result.bundle, config, epochs), paths.root, config.log)
    return TrainingResult(result.bundle, epochs, (*notes, *result.notes, *tracked))


def _second_config(config: Config, manifest: Manifest) -> Config | None:
    """Return the settings of the second network; None without one."""
    if not config.model.second_network:
        return None
    size = second_size(_network_config(config, manifest), config.model.second_scale)
    if size is None:
        msg = (
            "model.second_network needs the pyramid head, a healthy class, and a model.second_scale that enlarges "
            f"scans by 32 pixels, got {config.model.head}, {manifest.labels.healthy} and {config.model.second_scale:g}"
        )
        raise ConfigError(msg)
    data = config.data.model_copy(update={"image_size": size})
    return config.model_copy(update={"data": data})


def _train_second(
    paths: ProjectPaths, config: Config, assignment: SplitAssignment, progress: Progress
) -> tuple[TrainingTask, tuple[str, ...]]:
    """Train the network that sees enlarged scans, with logs of its own; leaks were accepted before."""
    own = replace(
        paths,
        models=paths.workspace / _SECOND,
        reports=paths.reports / _SECOND,
        logs=paths.logs / _SECOND,
    )

    def second_progress(step: str, done: int, total: int) -> None:
        progress(f"second network: {step}", done, total)

    task, _, epochs = fit_network(own, config, assignment=assignment, accept_leaks=True, progress=second_progress)
    write_logs(epochs, own, config.log)
    task = replace(task, network=with_contralateral(task.network, config.model.contralateral))
    return task, tuple(f"second network: {note}" for note in _early_stop_notes(config, epochs))


def _tracked_run(bundle: ModelBundle, config: Config, epochs: tuple[Epoch, ...]) -> TrackedRun:
    info = bundle.info
    final = {"accuracy": info.validation.accuracy, "nll": info.validation.nll, "ece": info.validation.ece}
    metrics = {f"final_validation_{name}": value for name, value in final.items()} | {"temperature": info.temperature}
    return TrackedRun(info.name, info.digest, parameters_of(config), epochs, metrics)


def fit_network(
    paths: ProjectPaths,
    config: Config,
    *,
    assignment: SplitAssignment | None = None,
    accept_leaks: bool = False,
    progress: Progress = silent,
    each_epoch: EachEpoch = ignore_epochs,
) -> tuple[TrainingTask, Recipe, tuple[Epoch, ...]]:
    """Train a network on a prepared set, without calibrating or exporting it; test scans are not used.

    Args:
        paths: The project's files and folders.
        config: All settings.
        assignment: Manifest and split to train with; by default those of ``paths`` and ``config``.
        accept_leaks: Train although groups cross the split.
        progress: Called with the step and how far it is.
        each_epoch: Called after each epoch with all epochs so far.

    Returns:
        The network with its inputs and settings, the preprocessing, and the metrics of each epoch.

    Raises:
        DatasetError: There is no prepared set, or it is damaged.
        LeakError: Groups cross the split without ``accept_leaks``, or the first weights were trained on test scans.
        ConfigError: The weights file or a setting is invalid.
        ResourceError: The disk is full.
    """
    assignment = assignment or assign_split(Manifest.read(paths.data), config)
    manifest, split = assignment.manifest, assignment.split
    check_leaks(split, accepted=accept_leaks)
    _check_recall_weights(config, manifest)
    _check_weights(config, manifest)
    recipe = _recipe(assignment, config, paths, progress)
    network = _build_network(config, manifest)
    task = TrainingTask(
        network=network,
        images=_training_images(assignment, recipe, config, paths, progress),
        split=split,
        config=config,
        content=content_digest(manifest, recipe),
        cache=paths.cache,
        workspace=paths.workspace,
        progress=progress,
        each_epoch=each_epoch,
    )
    return task, recipe, _fit(task)


def _recipe(assignment: SplitAssignment, config: Config, paths: ProjectPaths, progress: Progress) -> Recipe:
    """Make the preprocessing; landmarks of grey values are learnt from the training scans alone."""
    steps, size = config.preprocessing, config.data.image_size
    if steps.contrast != "nyul":
        return Recipe(size, bias_field=steps.bias_field, contrast=steps.contrast)
    plain = Recipe(size, bias_field=steps.bias_field)
    levels = scan_deciles(assignment.manifest, plain, paths.cache, progress)
    landmarks = mean_landmarks(levels[assignment.split.train])
    if not landmarks:
        msg = "preprocessing.contrast must not be nyul: no training scan has a foreground to learn landmarks from"
        raise ConfigError(msg)
    return replace(plain, contrast="nyul", landmarks=landmarks)


def _training_images(
    assignment: SplitAssignment, recipe: Recipe, config: Config, paths: ProjectPaths, progress: Progress
) -> TrainingImages:
    """Decode the scans, and add masks and counterfactual images where the set has masks and they are used."""
    manifest, train = assignment.manifest, assignment.split.train
    labels, settings = manifest.label_indices, config.train.lesion
    # A class map of lesions is compared with that of the healthy class.
    outlined = bool(settings.weight) and manifest.masks is not None and manifest.labels.healthy is not None
    if outlined and config.augment.enabled and config.augment.mixup:
        msg = "augment.mixup must be false for a set with outlines, got true; or set train.lesion.weight to 0"
        raise ConfigError(msg)
    inputs = decode_scans(manifest, recipe, paths.cache, progress)
    if not outlined:
        return TrainingImages.plain(inputs, labels, train)
    outlines = decode_outlines(manifest, recipe, paths.cache, progress)
    scans = OutlinedScans(inputs, outlines, labels, manifest.labels.healthy_index, train)
    return add_counterfactuals(scans, settings, config.seed, paths.cache, progress)


def content_digest(manifest: Manifest, recipe: Recipe) -> str:
    """Compute a digest of the network inputs, in order, without labels, groups and splits."""
    digest = hashlib.sha256(recipe.digest.encode())
    for record in manifest.records:
        digest.update(record.sha256.encode())
    return digest.hexdigest()


def _build_network(config: Config, manifest: Manifest) -> Network:
    keras.utils.set_random_seed(config.seed)
    return build_network(_network_config(config, manifest))


def _network_config(config: Config, manifest: Manifest) -> NetworkConfig:
    model = config.model
    half = config.train.recipe == "full" and config.train.mixed_precision
    return NetworkConfig(
        backbone=model.backbone,
        size=config.data.image_size,
        classes=len(manifest.labels),
        dropout=model.dropout,
        weights=_initial_weights(model),
        seed=config.seed,
        multi_level=model.multi_level,
        head=model.head,
        healthy=None if manifest.labels.healthy is None else manifest.labels.healthy_index,
        precision="mixed_float16" if half else "float32",
        frozen_stages=config.train.quick.frozen_stages,
    )


def _initial_weights(model: ModelConfig) -> Path | str | None:
    named = {"imagenet": "imagenet", "none": None, "shipped": SHIPPED_WEIGHTS}
    return named[model.weights] if model.weights in named else Path(model.weights)


def _check_weights(config: Config, manifest: Manifest) -> None:
    """Reject weights that were trained on most of this set: every split of it would leak."""
    if config.model.weights == "shipped" and manifest.name == NICKPARVAR:
        msg = "model.weights must not be 'shipped' for this data set, which trained them; use imagenet or a local file"
        raise LeakError(msg)


def _check_recall_weights(config: Config, manifest: Manifest) -> None:
    names, count = manifest.labels.names, len(config.train.recall_weights)
    if config.train.loss == "recall_weighted" and count != len(names):
        msg = f"train.recall_weights must be {len(names)} numbers, one each for {', '.join(names)}, got {count}"
        raise ConfigError(msg)


def _fit(task: TrainingTask) -> tuple[Epoch, ...]:
    if task.config.train.recipe == "full":
        return fit_full(task)
    images = len(task.images.rows) * (1 + task.config.train.quick.views) + len(task.split.validation)
    return fit_quick(task, fast_frozen_part(task.network, task.cache, images))


def _early_stop_notes(config: Config, epochs: tuple[Epoch, ...]) -> tuple[str, ...]:
    done, planned = sum(epoch.stage == "tail" for epoch in epochs), config.train.quick.epochs
    if config.train.recipe != "quick" or done >= planned:
        return ()
    reason = f"train.quick.minutes ({config.train.quick.minutes:g}) or early stopping ended it"
    return (f"the last blocks trained {done} of {planned} epochs: {reason}; a faster machine may give other weights",)
