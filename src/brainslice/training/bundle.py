"""From a trained network to a bundle: temperature, export, parity, and only then the files."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brainslice.arrays import ClassMaps, Labels, Logits
from brainslice.bundle.abstention import StoredConformalSets, StoredOodDetector
from brainslice.bundle.model_card import CARD_FILE, model_card
from brainslice.bundle.store import ModelBundle, write_bundle
from brainslice.bundle.types import GRAPH_FILE, BundleDraft, Classes, GraphParity, Provenance, Validation
from brainslice.dataset.manifest import Manifest
from brainslice.decision.mc_dropout import HEAD_FILE
from brainslice.decision.out_of_distribution import DETECTOR_FILE
from brainslice.decision.temperature import Temperature
from brainslice.files import atomic_file, write_text
from brainslice.inference.engines.engine import EngineOutput
from brainslice.inference.engines.onnx_engine import OnnxEngine
from brainslice.models.export import ParityReport, export_onnx, extract_head, parity, save_network
from brainslice.models.weights import weights_digest
from brainslice.paths import ProjectPaths
from brainslice.preprocessing.recipe import Recipe
from brainslice.training.abstention import detector_scans, fit_detector, fit_prediction_sets
from brainslice.training.calibration import calibrate, validation_of
from brainslice.training.task import TrainingTask

KERAS_FILE = "model.keras"
"""The network as Keras reads it, inside a bundle."""

_PARITY_SCANS = 200
_BATCH = 32
_LIBRARIES = ("brainslice", "keras", "tensorflow", "tensorflow-cpu", "jax", "numpy", "onnxruntime", "pillow")


@dataclass(frozen=True, slots=True)
class BundleResult:
    """A bundle, and what a person should know about how it came about."""

    bundle: ModelBundle
    notes: tuple[str, ...]


def make_bundle(task: TrainingTask, manifest: Manifest, recipe: Recipe, places: ProjectPaths) -> BundleResult:
    """Calibrate and export a trained network, check the export, and write ``models/``.

    Temperature, prediction sets and gate are fitted on the exported graph's own answers: predictions run on that graph.

    Raises:
        ParityError: The exported graph disagrees with the network; nothing is written.
        ResourceError: The disk is full; an older bundle stays as it was.
    """
    held_out = task.split.validation
    places.models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export.tmp-", dir=places.models) as folder:
        files = {name: Path(folder) / name for name in (GRAPH_FILE, KERAS_FILE, HEAD_FILE, DETECTOR_FILE, CARD_FILE)}
        save_network(task.network, files[KERAS_FILE])
        extract_head(task.network).save(files[HEAD_FILE])
        export_onnx(task.network, files[GRAPH_FILE])
        engine = OnnxEngine(files[GRAPH_FILE])
        found = parity(task.network, lambda batch: _pair(engine.run(batch)), task.inputs[held_out[:_PARITY_SCANS]])
        found.require()
        output = _run(engine, task, held_out)
        labels, calibration, trust = task.labels[held_out], task.config.calibration, task.config.decision
        temperature, notes = calibrate(output.logits, labels, calibration)
        seen = validation_of(output.logits, labels, temperature, calibration.bins)
        groups, names = manifest.group_indices[held_out], manifest.labels.names
        sets, more_notes = fit_prediction_sets(output.logits, labels, groups, temperature, names, trust)
        learnt = _run(engine, task, detector_scans(task.split.train, task.config.seed))
        gate = fit_detector(learnt.features, output.features, trust, files[DETECTOR_FILE])
        draft = _draft(task, manifest, _Described(recipe, temperature, seen, found, sets, gate))
        write_text(files[CARD_FILE], model_card(draft))
        bundle = write_bundle(places.bundle, draft, files)
    with atomic_file(places.best) as temporary:
        shutil.copyfile(bundle.path(KERAS_FILE), temporary)
    return BundleResult(bundle, (*notes, *more_notes))


@dataclass(frozen=True, slots=True)
class _Described:
    recipe: Recipe
    temperature: Temperature
    validation: Validation
    parity: ParityReport
    sets: StoredConformalSets
    gate: StoredOodDetector


def _draft(task: TrainingTask, manifest: Manifest, described: _Described) -> BundleDraft:
    return BundleDraft(
        name=f"{manifest.name}-{task.config.model.backbone}-{task.split.protocol}",
        created=dt.datetime.now(dt.UTC),
        labels=Classes.of(manifest.labels),
        recipe=dict(described.recipe.to_json()),
        temperature=described.temperature.value,
        threshold=task.config.inference.threshold,
        backbone=task.config.model.backbone,
        head="pyramid" if task.network.config.head == "pyramid" else None,
        class_map_shape=task.network.map_shape,
        class_map_bias=tuple(task.network.bias.tolist()),
        provenance=_provenance(task, manifest),
        validation=described.validation,
        parity=GraphParity(
            n=described.parity.scans, logits=described.parity.logits, class_maps=described.parity.class_maps
        ),
        conformal=described.sets,
        ood_detector=described.gate,
    )


def _run(engine: OnnxEngine, task: TrainingTask, scans: Labels) -> EngineOutput:
    """Run the graph that predictions will run on over some of the scans, telling how far it is."""
    parts = []
    for start in range(0, len(scans), _BATCH):
        parts.append(engine.run(task.inputs[scans[start : start + _BATCH]]))
        task.progress("judging validation and training scans", min(start + _BATCH, len(scans)), len(scans))
    return EngineOutput.join(parts)


def _pair(output: EngineOutput) -> tuple[Logits, ClassMaps]:
    return output.logits, output.class_maps


def _provenance(task: TrainingTask, manifest: Manifest) -> Provenance:
    groups = manifest.group_indices
    return Provenance(
        dataset=manifest.name,
        manifest_digest=manifest.digest,
        split_digest=task.split.digest,
        weights_digest=weights_digest(task.network.model),
        protocol=task.split.protocol.value,
        leaky=task.split.leaky,
        phantom=manifest.phantom,
        seed=task.config.seed,
        training_recipe=task.config.train.recipe,
        train_images=len(task.split.train),
        train_groups=len(np.unique(groups[task.split.train])),
        validation_images=len(task.split.validation),
        validation_groups=len(np.unique(groups[task.split.validation])),
        versions=dict(sorted(library_versions())),
    )


def library_versions() -> list[tuple[str, str]]:
    """List the installed libraries that a model depends on, with their versions."""
    found = []
    for name in _LIBRARIES:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
