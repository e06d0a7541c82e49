"""From a prepared set to a bundle."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import keras

from brainslice.bundle.store import ModelBundle
from brainslice.cohort.decoded import decode
from brainslice.cohort.division import Division, divide
from brainslice.cohort.known import NICKPARVAR
from brainslice.cohort.manifest import Manifest
from brainslice.cohort.split import refuse_leaks
from brainslice.config import Config, ModelConfig
from brainslice.errors import LeakError
from brainslice.network.build import Network, NetworkPlan, build
from brainslice.network.weights import SHIPPED_WEIGHTS
from brainslice.places import Places
from brainslice.prepare.recipe import Recipe
from brainslice.progress import Progress, silent
from brainslice.train.finish import Finished, finish
from brainslice.train.full import fit_full
from brainslice.train.history import Epoch, write_events, write_history, write_log
from brainslice.train.quick import fit_quick
from brainslice.train.task import Task
from brainslice.train.trunk import fast_trunk


@dataclass(frozen=True, slots=True)
class Trained:
    """What training left.

    Attributes:
        bundle: The model with everything predictions need.
        epochs: What happened in each epoch.
        notes: What a person should know about this training, a line each.
    """

    bundle: ModelBundle
    epochs: tuple[Epoch, ...]
    notes: tuple[str, ...]


def train(
    places: Places,
    config: Config,
    *,
    division: Division | None = None,
    accept_leaks: bool = False,
    progress: Progress = silent,
) -> Trained:
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
    division = division or divide(Manifest.read(places.data), config)
    manifest, split = division.manifest, division.split
    refuse_leaks(split, accepted=accept_leaks)
    _refuse_what_saw_the_test(config, manifest)
    recipe = Recipe(size=config.data.image_size)
    network = _fresh_network(config, manifest)
    task = Task(
        network=network,
        inputs=decode(manifest, recipe, places.cache, progress),
        labels=manifest.label_indices,
        split=split,
        config=config,
        content=content_digest(manifest, recipe),
        cache=places.cache,
        workspace=places.workspace,
        progress=progress,
    )
    epochs = _fit(task)
    _write_logs(epochs, places, config)
    finished: Finished = finish(task, manifest, recipe, places)
    shutil.rmtree(places.workspace, ignore_errors=True)
    return Trained(finished.bundle, epochs, (*_cut_short(config, epochs), *finished.notes))


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
        NetworkPlan(
            backbone=model.backbone,
            size=config.data.image_size,
            classes=len(manifest.labels),
            dropout=model.dropout,
            weights=_first_weights(model),
            seed=config.seed,
            multi_level=model.multi_level,
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


def _fit(task: Task) -> tuple[Epoch, ...]:
    if task.config.train.recipe == "full":
        return fit_full(task)
    return fit_quick(task, fast_trunk(task.network, task.cache))


def _cut_short(config: Config, epochs: tuple[Epoch, ...]) -> tuple[str, ...]:
    done, planned = sum(epoch.stage == "tail" for epoch in epochs), config.train.quick.epochs
    if config.train.recipe != "quick" or done >= planned:
        return ()
    why = f"train.quick.minutes ({config.train.quick.minutes:g}) or early stopping ended it"
    return (f"the last blocks trained {done} of {planned} epochs: {why}; a faster machine may get other weights",)


def _write_logs(epochs: tuple[Epoch, ...], places: Places, config: Config) -> None:
    write_history(epochs, places.reports)
    if config.log.csv:
        write_log(epochs, places.logs / "training.csv")
    if config.log.tensorboard:
        write_events(epochs, places.logs / "tensorboard")
