"""Make a project's bundle from one that was trained before `model.contralateral`, without training again.

Usage: python tools/subtract_contralateral.py BUNDLE PROJECT [SHARE]

BUNDLE has the pyramid head, PROJECT is a prepared project of the same scans. The graph gets the subtraction;
temperature and prediction sets are fitted again on PROJECT's validation scans, operating points are removed, features
and their detector stay. `brainslice threshold --save`, `evaluate` and tools/make_default_bundle.py come next.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from brainslice.api import read_settings
from brainslice.bundle import CARD_FILE, GRAPH_FILE, BundleDraft, render_model_card, write_bundle
from brainslice.dataset import Manifest, decode_scans
from brainslice.decision import HEAD_FILE, LinearHead
from brainslice.evaluation import split_of
from brainslice.files import write_text
from brainslice.inference import OnnxEngine, Predictor
from brainslice.paths import ProjectPaths
from brainslice.training import calibrate, fit_prediction_sets, run_engine, validation_of

MADE_LATER = {"summary.json", "operating_curve.json"}
LAST = np.iinfo(np.int64).min
"""The end of a slice that runs backwards through a whole axis."""


def main(bundle: Path, project: Path, share: float = 0.4) -> None:
    """Write ``PROJECT/models/bundle``."""
    old = Predictor.open(bundle)
    config = read_settings(project)
    places = ProjectPaths.of(project, config)
    manifest = Manifest.read(places.data)
    rows = split_of(old.bundle, manifest).validation
    inputs = decode_scans(manifest, old.recipe, places.cache)[rows]
    labels, groups = manifest.label_indices[rows], manifest.group_indices[rows]
    info, healthy = old.bundle.info, old.bundle.labels.healthy_index
    with tempfile.TemporaryDirectory() as folder:
        files = {name: old.bundle.path(name) for name in info.files if name not in MADE_LATER}
        for name in (GRAPH_FILE, HEAD_FILE, CARD_FILE):
            files[name] = Path(folder) / name
        subtract(old.bundle.path(GRAPH_FILE), files[GRAPH_FILE], healthy, share)
        head = LinearHead.read(old.bundle.path(HEAD_FILE))
        replace(head, contralateral=share, healthy=healthy).save(files[HEAD_FILE])
        logits = run_engine(OnnxEngine(files[GRAPH_FILE]), inputs, lambda *_: None, "").logits
        temperature, _ = calibrate(logits, labels, config.calibration)
        sets, _ = fit_prediction_sets(logits, labels, groups, temperature, info.labels.names, config.decision)
        fields = {name: getattr(info, name) for name in BundleDraft.model_fields}
        fields |= {"temperature": temperature.value, "conformal": sets, "operating_points": (), "half_precision": None}
        fields["contralateral"] = share
        fields["validation"] = validation_of(logits, labels, temperature, config.calibration.bins)
        draft = BundleDraft(**fields)
        write_text(files[CARD_FILE], render_model_card(draft))
        made = write_bundle(places.bundle, draft, files)
    sys.stdout.write(f"{made.folder}: temperature {temperature.value:.3f}, {fields['validation']}\n")


def subtract(graph: Path, out: Path, healthy: int, share: float) -> None:
    """Write the graph with the subtraction of ``models.head`` behind its class maps."""
    model = onnx.load(graph)
    classes = next(o for o in model.graph.output if o.name == "class_maps").type.tensor_type.shape.dim[-1].dim_value
    tumours = np.flatnonzero(np.arange(classes) != healthy)
    place = next(place for place, node in enumerate(model.graph.node) if "class_maps" in node.output)
    model.graph.node[place].output[:] = ["plain_maps"]
    constants = {
        "tumours": tumours,
        "from_last": np.array([-1]),
        "to_first": np.array([LAST]),
        "columns": np.array([2]),
        "backwards": np.array([-1]),
        "share": (share * (np.arange(classes) != healthy)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["plain_maps", "tumours"], ["tumour_maps"], axis=3),
        helper.make_node("ReduceLogSumExp", ["tumour_maps"], ["evidence"], axes=[3], keepdims=1),
        helper.make_node("Slice", ["evidence", "from_last", "to_first", "columns", "backwards"], ["mirrored"]),
        helper.make_node("Mul", ["mirrored", "share"], ["subtracted"]),
        helper.make_node("Sub", ["plain_maps", "subtracted"], ["class_maps"]),
    ]
    for number, node in enumerate(nodes):
        model.graph.node.insert(place + 1 + number, node)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    onnx.checker.check_model(model)
    onnx.save(model, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(float, sys.argv[3:]))
