"""Export a trained network, check the export, calibrate it, and write its bundle."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brainslice.arrays import ClassMaps, InputBatch, Logits
from brainslice.bundle import (
    CARD_FILE,
    GRAPH_FILE,
    IMPORTED,
    BundleDraft,
    Classes,
    GraphParity,
    ModelBundle,
    Provenance,
    StoredConformalSets,
    StoredOodDetector,
    Validation,
    open_bundle,
    render_model_card,
    write_bundle,
)
from brainslice.dataset import Manifest
from brainslice.decision import DETECTOR_FILE, HEAD_FILE, Temperature
from brainslice.errors import BundleError
from brainslice.files import atomic_file, atomic_folder, write_text
from brainslice.inference import EngineOutput, OnnxEngine
from brainslice.models import (
    Network,
    NetworkConfig,
    add_second_size,
    export_onnx,
    extract_head,
    parity,
    save_network,
    weights_digest,
)
from brainslice.paths import ProjectPaths
from brainslice.preprocessing import Recipe
from brainslice.progress import Progress
from brainslice.training.calibration import (
    calibrate,
    detector_scans,
    fit_detector,
    fit_prediction_sets,
    validation_of,
)
from brainslice.training.task import TrainingTask

KERAS_FILE = "model.keras"
"""The Keras file of the network in a bundle."""

SECOND_KERAS_FILE = "second.keras"
"""The Keras file of the network that sees enlarged scans, where it is another one."""

_PARITY_SCANS = 200
_BATCH = 32
_STRIDE = 32
"""Pixels a position of the last activations."""

_LIBRARIES = ("brainslice", "keras", "tensorflow", "tensorflow-cpu", "jax", "numpy", "onnxruntime", "pillow")


@dataclass(frozen=True, slots=True)
class BundleResult:
    """A bundle, and remarks on its calibration."""

    bundle: ModelBundle
    notes: tuple[str, ...]


def make_bundle(
    task: TrainingTask,
    manifest: Manifest,
    recipe: Recipe,
    paths: ProjectPaths,
    second: TrainingTask | None = None,
) -> BundleResult:
    """Calibrate and export a trained network, check the export, and write ``models/``.

    Temperature, prediction sets and detector are fitted on outputs of the exported graph, which predictions use.

    Args:
        task: The trained network, its inputs and settings.
        manifest: The set.
        recipe: The preprocessing.
        paths: The project's files and folders.
        second: A second network, trained at the second size, which sees the enlarged scan; by default the same one.

    Raises:
        ParityError: The exported graph disagrees with the network; nothing is written.
        ResourceError: The disk is full; an older bundle is kept.
    """
    held_out = task.split.validation
    paths.models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export.tmp-", dir=paths.models) as folder:
        names = (GRAPH_FILE, KERAS_FILE, *([SECOND_KERAS_FILE] if second else []), HEAD_FILE, DETECTOR_FILE, CARD_FILE)
        files = {name: Path(folder) / name for name in names}
        engine, graph_parity = _export(task, second, manifest, files)
        output = run_engine(engine, task.inputs[held_out], task.progress, "scoring validation scans")
        labels, calibration, decision = task.labels[held_out], task.config.calibration, task.config.decision
        temperature, notes = calibrate(output.logits, labels, calibration)
        validation = validation_of(output.logits, labels, temperature, calibration.bins)
        groups, classes = manifest.group_indices[held_out], manifest.labels.names
        sets, more_notes = fit_prediction_sets(output.logits, labels, groups, temperature, classes, decision)
        rows = detector_scans(task.split.train, task.config.seed)
        training = run_engine(engine, task.inputs[rows], task.progress, "scoring training scans")
        detector = fit_detector(training.features, output.features, decision, files[DETECTOR_FILE])
        draft = _draft(task, second, manifest, _Fitted(recipe, temperature, validation, graph_parity, sets, detector))
        write_text(files[CARD_FILE], render_model_card(draft))
        _keep_previous(paths.bundle, draft)
        bundle = write_bundle(paths.bundle, draft, files)
    with atomic_file(paths.best) as temporary:
        shutil.copyfile(bundle.path(KERAS_FILE), temporary)
    return BundleResult(bundle, (*notes, *more_notes))


def _export(
    task: TrainingTask, second: TrainingTask | None, manifest: Manifest, files: Mapping[str, Path]
) -> tuple[OnnxEngine, GraphParity]:
    """Export a network; its graph also sees enlarged scans, by the second network where there is one."""
    some = task.split.validation[:_PARITY_SCANS]
    engine, found = export_network(task.network, files, task.inputs[some])
    size = second_size(task.network.config, task.config.model.second_scale)
    if size is None:
        return engine, found
    graph, other = files[GRAPH_FILE], None
    if second:
        other = graph.with_name("second.onnx")
        save_network(second.network, files[SECOND_KERAS_FILE])
        _, own = export_graph(second.network, other, second.inputs[some])
        worst = {name: max(getattr(found, name), getattr(own, name)) for name in ("logits", "class_maps")}
        found = found.model_copy(update=worst)
    add_second_size(graph, graph, size, manifest.labels.healthy_index, other)
    return OnnxEngine(graph), found


def _keep_previous(bundle: Path, draft: BundleDraft) -> None:
    """Copy the bundle that is about to be replaced to ``bundle.previous``.

    A training that was killed after it wrote its bundle writes it again, and keeps the one before it.
    """
    if bundle.is_dir() and not _is_description_of(bundle, draft):
        with atomic_folder(bundle.with_name("bundle.previous")) as staging:
            shutil.copytree(bundle, staging, dirs_exist_ok=True)


def _is_description_of(bundle: Path, draft: BundleDraft) -> bool:
    try:
        info = open_bundle(bundle).info
    except BundleError:
        return False
    return all(getattr(info, name) == getattr(draft, name) for name in BundleDraft.model_fields if name != "created")


@dataclass(frozen=True, slots=True)
class _Fitted:
    recipe: Recipe
    temperature: Temperature
    validation: Validation
    parity: GraphParity
    sets: StoredConformalSets
    detector: StoredOodDetector


def _draft(task: TrainingTask, second: TrainingTask | None, manifest: Manifest, fitted: _Fitted) -> BundleDraft:
    labels, provenance = Classes.of(manifest.labels), _provenance(task, manifest)
    backbone = IMPORTED if task.imported else task.config.model.backbone
    return BundleDraft(
        name=f"{manifest.name}-{backbone}-{task.split.protocol}",
        created=dt.datetime.now(dt.UTC),
        labels=labels,
        labels_digest=labels.digest_with(provenance.weights_digest),
        recipe=dict(fitted.recipe.to_json()),
        temperature=fitted.temperature.value,
        threshold=task.config.inference.threshold,
        backbone=backbone,
        head="pyramid" if task.network.config.head == "pyramid" else None,
        contralateral=task.network.config.contralateral,
        second_size=second_size(task.network.config, task.config.model.second_scale),
        second_network=weights_digest(second.network.model) if second else None,
        class_map_shape=task.network.map_shape,
        class_map_bias=tuple(task.network.bias.tolist()),
        provenance=provenance,
        validation=fitted.validation,
        parity=fitted.parity,
        conformal=fitted.sets,
        ood_detector=fitted.detector,
    )


def second_size(network: NetworkConfig, scale: float) -> int | None:
    """Return the larger size that the graph also sees, a multiple of 32; None without, as for other heads."""
    size = round(network.size * scale / _STRIDE) * _STRIDE
    return size if network.reference_class is not None and size > network.size else None


def export_network(network: Network, files: Mapping[str, Path], inputs: InputBatch) -> tuple[OnnxEngine, GraphParity]:
    """Write a network's Keras file, graph and last layer, and compare the graph with the network on some inputs.

    Raises:
        ParityError: They differ by more than the tolerance.
        ResourceError: The disk is full.
    """
    save_network(network, files[KERAS_FILE])
    extract_head(network).save(files[HEAD_FILE])
    return export_graph(network, files[GRAPH_FILE], inputs)


def export_graph(network: Network, path: Path, inputs: InputBatch) -> tuple[OnnxEngine, GraphParity]:
    """Write a network's graph, and compare it with the network on some inputs.

    Raises:
        ParityError: They differ by more than the tolerance.
        ResourceError: The disk is full.
    """
    export_onnx(network, path)
    engine = OnnxEngine(path)

    def run(batch: InputBatch) -> tuple[Logits, ClassMaps]:
        output = engine.run(batch)
        return output.logits, output.class_maps

    found = parity(network, run, inputs)
    found.require()
    return engine, GraphParity(n=found.scans, logits=found.logits, class_maps=found.class_maps)


def run_engine(engine: OnnxEngine, inputs: InputBatch, progress: Progress, step: str) -> EngineOutput:
    """Run a graph over at least one scan ``(n, h, w)``, in batches."""
    parts = []
    for start in range(0, len(inputs), _BATCH):
        parts.append(engine.run(inputs[start : start + _BATCH]))
        progress(step, min(start + _BATCH, len(inputs)), len(inputs))
    return EngineOutput.join(parts)


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
        training_recipe=IMPORTED if task.imported else task.config.train.recipe,
        train_images=len(task.split.train),
        train_groups=len(np.unique(groups[task.split.train])),
        validation_images=len(task.split.validation),
        validation_groups=len(np.unique(groups[task.split.validation])),
        versions=dict(sorted(library_versions())),
    )


def library_versions() -> list[tuple[str, str]]:
    """List the versions of the installed libraries that a model depends on."""
    found = []
    for name in _LIBRARIES:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
