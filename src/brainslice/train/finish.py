"""From a trained network to a bundle: temperature, export, parity, and only then the files."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brainslice.arrays import ClassMaps, Logits
from brainslice.bundle.card import CARD_FILE, model_card
from brainslice.bundle.store import ModelBundle, write_bundle
from brainslice.bundle.types import GRAPH_FILE, BundleDraft, Classes, GraphParity, Provenance, Validation
from brainslice.cohort.manifest import Manifest
from brainslice.errors import CalibrationError
from brainslice.files import replacing, write_text
from brainslice.infer.engine import EngineOutput
from brainslice.infer.onnx_engine import OnnxEngine
from brainslice.measure.reliability import bin_by_confidence, expected_calibration_error, negative_log_likelihood
from brainslice.network.export import Parity, export_onnx, parity, save_network
from brainslice.network.weights import weights_digest
from brainslice.places import Places
from brainslice.prepare.recipe import Recipe
from brainslice.train.task import Task
from brainslice.trust.calibration import Temperature, fit_temperature

KERAS_FILE = "model.keras"
"""The network as Keras reads it, inside a bundle."""

_PARITY_SCANS = 200
_BATCH = 32
_LIBRARIES = ("brainslice", "keras", "tensorflow", "tensorflow-cpu", "jax", "numpy", "onnxruntime", "pillow")


@dataclass(frozen=True, slots=True)
class Finished:
    """A bundle, and what a person should know about how it came about."""

    bundle: ModelBundle
    notes: tuple[str, ...]


def finish(task: Task, manifest: Manifest, recipe: Recipe, places: Places) -> Finished:
    """Calibrate and export a trained network, check the export, and write ``models/``.

    The temperature is fitted on the exported graph's own logits, since that graph is what predictions run on.

    Raises:
        ParityError: The exported graph disagrees with the network; nothing is written.
        ResourceError: The disk is full; an older bundle stays as it was.
    """
    held_out = task.split.validation
    places.models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=places.models) as folder:
        files = {name: Path(folder) / name for name in (GRAPH_FILE, KERAS_FILE, CARD_FILE)}
        save_network(task.network, files[KERAS_FILE])
        export_onnx(task.network, files[GRAPH_FILE])
        engine = OnnxEngine(files[GRAPH_FILE])
        found = parity(task.network, lambda batch: _pair(engine.run(batch)), task.inputs[held_out[:_PARITY_SCANS]])
        found.require()
        batches = [held_out[start : start + _BATCH] for start in range(0, len(held_out), _BATCH)]
        logits = np.concatenate([engine.run(task.inputs[batch]).logits for batch in batches])
        temperature, notes = _calibrate(task, logits)
        described = _Described(recipe, temperature, _validation(task, logits, temperature), found)
        draft = _draft(task, manifest, described)
        write_text(files[CARD_FILE], model_card(draft))
        bundle = write_bundle(places.bundle, draft, files)
    with replacing(places.best) as temporary:
        shutil.copyfile(bundle.path(KERAS_FILE), temporary)
    return Finished(bundle, notes)


@dataclass(frozen=True, slots=True)
class _Described:
    recipe: Recipe
    temperature: Temperature
    validation: Validation
    parity: Parity


def _draft(task: Task, manifest: Manifest, described: _Described) -> BundleDraft:
    return BundleDraft(
        name=f"{manifest.name}-{task.config.model.backbone}-{task.split.protocol}",
        created=dt.datetime.now(dt.UTC),
        labels=Classes.of(manifest.labels),
        recipe=dict(described.recipe.to_json()),
        temperature=described.temperature.value,
        threshold=task.config.inference.threshold,
        backbone=task.config.model.backbone,
        class_map_shape=task.network.map_shape,
        class_map_bias=tuple(task.network.bias.tolist()),
        provenance=_provenance(task, manifest),
        validation=described.validation,
        parity=GraphParity(
            n=described.parity.scans, logits=described.parity.logits, class_maps=described.parity.class_maps
        ),
    )


def _pair(output: EngineOutput) -> tuple[Logits, ClassMaps]:
    return output.logits, output.class_maps


def _calibrate(task: Task, logits: Logits) -> tuple[Temperature, tuple[str, ...]]:
    if not task.config.calibration.temperature:
        return Temperature(1.0), ("calibration.temperature is off: probabilities are as the network gives them",)
    try:
        return fit_temperature(logits, task.labels[task.split.validation]), ()
    except CalibrationError as error:
        return Temperature(1.0), (f"no temperature could be fitted, 1 is used: {error}",)


def _provenance(task: Task, manifest: Manifest) -> Provenance:
    groups = manifest.group_indices
    return Provenance(
        dataset=manifest.name,
        manifest_digest=manifest.digest,
        split_digest=task.split.digest,
        weights_digest=weights_digest(task.network.whole),
        protocol=task.split.protocol.value,
        leaky=task.split.leaky,
        phantom=manifest.phantom,
        seed=task.config.seed,
        training=task.config.train.recipe,
        train_images=len(task.split.train),
        train_groups=len(np.unique(groups[task.split.train])),
        validation_images=len(task.split.validation),
        validation_groups=len(np.unique(groups[task.split.validation])),
        versions=dict(sorted(_versions())),
    )


def _versions() -> list[tuple[str, str]]:
    found = []
    for name in _LIBRARIES:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _validation(task: Task, logits: Logits, temperature: Temperature) -> Validation:
    labels = task.labels[task.split.validation]
    probabilities = temperature.probabilities(logits)
    return Validation(
        n=len(labels),
        accuracy=float((probabilities.argmax(axis=1) == labels).mean()),
        nll=negative_log_likelihood(probabilities, labels),
        ece=expected_calibration_error(bin_by_confidence(probabilities, labels, task.config.calibration.bins)),
    )
