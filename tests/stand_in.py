"""A prepared project, and a bundle for it without training."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from brainslice.bundle.adaptation import Adaptation, HeldOutPrediction
from brainslice.bundle.fields import StoredConformalSets, StoredOodDetector
from brainslice.bundle.store import ModelBundle, write_bundle
from brainslice.bundle.types import GRAPH_FILE, BundleDraft, Classes, GraphParity, Provenance, Validation
from brainslice.config import Config, read_config
from brainslice.dataset.manifest import Manifest
from brainslice.dataset.preparation import PreparationOptions, prepare_dataset
from brainslice.dataset.splits.split_assignment import SplitAssignment, assign_split
from brainslice.decision.out_of_distribution import DETECTOR_FILE, OutOfDistributionDetector
from brainslice.paths import ProjectPaths
from brainslice.phantom import write_phantoms
from brainslice.preprocessing.recipe import Recipe

SIZE, FOLDS, MAPS = 64, 3, 4
SETTINGS = (f"data.image_size={SIZE}", f"data.folds={FOLDS}", "model.weights=none")
BIAS = (0.5, 1.0, -0.5, 0.25)

SLOPES = (0.03, -0.02, 0.01, -0.01)

SETS = StoredConformalSets(
    method="lac", coverage=0.9, quantiles=(0.7, 0.6, 0.9, None), counts=(9,) * 4, groups=(3,) * 4
)


def config(*overrides: str) -> Config:
    """Return the configuration of the prepared project."""
    return read_config(None, (*SETTINGS, *overrides))


def prepare_project(root: Path) -> Path:
    """Write a copy of sixteen drawn heads with near-duplicates, prepared with three folds."""
    return Path(shutil.copytree(_prepared(), root, dirs_exist_ok=True))


@functools.cache
def _prepared() -> Path:
    """Draw and prepare the heads once a process."""
    root = Path(tempfile.mkdtemp(prefix="brainslice-tests-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    write_phantoms(root / "source", patients_per_class=4, slices=2, seed=3)
    prepare_dataset(root / "source", root, PreparationOptions(folds=FOLDS, copy=True))
    return root


def copy_project(root: Path, place: Path) -> Path:
    """Copy a prepared project for a test that changes it."""
    return Path(shutil.copytree(root, place))


def write_bundle_for(
    places: ProjectPaths, settings: Config, division: SplitAssignment | None = None, slopes: Sequence[float] = SLOPES
) -> ModelBundle:
    """Write a bundle as after training on the project's split."""
    division = division or assign_split(Manifest.read(places.data), settings)
    manifest, split = division.manifest, division.split
    places.models.mkdir(parents=True, exist_ok=True)
    graph = places.models / "drawn.onnx"
    write_graph(graph, slopes)
    draft = BundleDraft(
        name="mean grey value",
        created=datetime(2025, 3, 1, tzinfo=UTC),
        labels=Classes.of(manifest.labels),
        recipe=dict(Recipe(size=SIZE).to_json()),
        temperature=1.5,
        threshold=0.4,
        backbone="none",
        class_map_shape=(MAPS, MAPS),
        class_map_bias=BIAS,
        provenance=Provenance(
            dataset=manifest.name,
            manifest_digest=manifest.digest,
            split_digest=split.digest,
            weights_digest="2" * 64,
            protocol=split.protocol.value,
            leaky=split.leaky,
            phantom=manifest.phantom,
            seed=settings.seed,
            training_recipe="quick",
            train_images=len(split.train),
            train_groups=1,
            validation_images=len(split.validation),
            validation_groups=1,
            versions={},
        ),
        validation=Validation(n=len(split.validation), accuracy=0.5, nll=1.0, ece=0.1),
        parity=GraphParity(n=1, logits=0.0, class_maps=0.0),
    )
    bundle = write_bundle(places.bundle, draft, {GRAPH_FILE: graph})
    graph.unlink()
    return bundle


def guarded(bundle: ModelBundle, sets: StoredConformalSets = SETS, limit: float = 0.5) -> ModelBundle:
    """Add prediction sets and an out-of-distribution detector to a bundle; it rejects scans at a tiny limit only."""
    gate = OutOfDistributionDetector(np.array([1 - limit / 2], np.float32), np.zeros((1, 0), np.float32), limit)
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder) / DETECTOR_FILE
        gate.save(arrays)
        stored = StoredOodDetector(limit=limit, components=0, training_scans=10, validation_scans=5, rejection_rate=0.0)
        fields = {name: getattr(bundle.info, name) for name in BundleDraft.model_fields}
        draft = BundleDraft(**(fields | {"conformal": sets, "ood_detector": stored}))
        files = {name: bundle.path(name) for name in bundle.info.files} | {DETECTOR_FILE: arrays}
        return write_bundle(bundle.folder, draft, files)


def write_graph(path: Path, slopes: Sequence[float] = SLOPES) -> None:
    """Export a dense layer on the mean grey value of each cell."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    cell, classes = SIZE // MAPS, len(BIAS)
    nodes = [
        helper.make_node("Transpose", ["scan"], ["channels_first"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["channels_first"], ["cells"], kernel_shape=[cell, cell], strides=[cell, cell]),
        helper.make_node("Conv", ["cells", "slopes", "bias"], ["maps_first"]),
        helper.make_node("Transpose", ["maps_first"], ["class_maps"], perm=[0, 2, 3, 1]),
        helper.make_node("ReduceMean", ["class_maps", "space"], ["logits"], keepdims=0),
        helper.make_node("ReduceMean", ["cells", "after_channels"], ["features"], keepdims=0),
    ]
    constants = {
        "slopes": np.array(slopes, np.float32).reshape(classes, 1, 1, 1),
        "bias": np.array(BIAS, np.float32),
        "space": np.array([1, 2], np.int64),
        "after_channels": np.array([2, 3], np.int64),
    }
    graph = helper.make_graph(
        nodes,
        "cells",
        [helper.make_tensor_value_info("scan", TensorProto.FLOAT, ["n", SIZE, SIZE, 1])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", classes]),
            helper.make_tensor_value_info("class_maps", TensorProto.FLOAT, ["n", MAPS, MAPS, classes]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 1]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)


def draw_blank_figures(patched: pytest.MonkeyPatch) -> None:
    """Leave the files of figures empty: layout and saving take half of an evaluation."""
    from brainslice.report.figures import style

    def touch(_: object, path: Path) -> None:
        for ending in (".png", ".svg"):
            path.with_name(path.name + ending).touch()

    patched.setattr(style, "_add_notes", lambda *_: None)
    patched.setattr(style, "_save", touch)


def adaptation_with(answers: tuple[HeldOutPrediction, ...], base: str = "0" * 64) -> Adaptation:
    """Return the description of an adaptation with these out-of-fold predictions."""
    return Adaptation(
        site="elsewhere",
        scans=len(answers),
        groups=len(answers),
        base=base,
        settings={},
        source_macro_f1_before=0.9,
        source_macro_f1_after=0.5,
        forgetting_accepted=False,
        comparison=[],
        learning_curve=[],
        out_of_fold=answers,
    )
