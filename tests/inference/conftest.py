from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from brainslice.bundle.store import write_bundle
from brainslice.bundle.types import BundleDraft, Classes, GraphParity, Provenance, Validation
from brainslice.inference.predictor import Predictor
from brainslice.labels import LabelSet
from brainslice.preprocessing.recipe import Recipe

SIZE, CELL, CLASSES = 64, 16, 4
WEIGHTS = np.array([0.03, -0.02, 0.01, -0.01], dtype=np.float32)
BIAS = np.array([0.5, 1.0, -0.5, 0.25], dtype=np.float32)


def write_graph(path: Path, *, name: str = "scan", maps: str = "class_maps", side: int | str = SIZE) -> Path:
    """A network of one dense layer on the mean grey value of each cell of 16 × 16 pixels."""
    nodes = [
        helper.make_node("Transpose", [name], ["channels_first"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["channels_first"], ["cells"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        helper.make_node("Conv", ["cells", "weights", "bias"], ["maps_first"]),
        helper.make_node("Transpose", ["maps_first"], [maps], perm=[0, 2, 3, 1]),
        helper.make_node("ReduceMean", [maps, "space"], ["logits"], keepdims=0),
    ]
    constants = {
        "weights": WEIGHTS.reshape(CLASSES, 1, 1, 1),
        "bias": BIAS,
        "space": np.array([1, 2], dtype=np.int64),
    }
    graph = helper.make_graph(
        nodes,
        "cells",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", side, side, 1])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", CLASSES]),
            helper.make_tensor_value_info(maps, TensorProto.FLOAT, ["n", "mh", "mw", CLASSES]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


@pytest.fixture(scope="session")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_graph(tmp_path_factory.mktemp("graph") / "model.onnx")


@pytest.fixture(scope="session")
def draft() -> BundleDraft:
    return BundleDraft(
        name="mean grey value",
        created=datetime(2025, 3, 1, tzinfo=UTC),
        labels=Classes.of(LabelSet()),
        recipe=dict(Recipe(size=SIZE).to_json()),
        temperature=1.7,
        backbone="none",
        class_map_shape=(SIZE // CELL, SIZE // CELL),
        class_map_bias=tuple(BIAS.tolist()),
        provenance=Provenance(
            dataset="drawn",
            manifest_digest="0" * 64,
            split_digest="1" * 64,
            weights_digest="2" * 64,
            protocol="official",
            leaky=True,
            phantom=True,
            seed=1,
            training_recipe="quick",
            train_images=8,
            train_groups=4,
            validation_images=4,
            validation_groups=2,
            versions={},
        ),
        validation=Validation(n=4, accuracy=0.5, nll=1.0, ece=0.1),
        parity=GraphParity(n=4, logits=0.0, class_maps=0.0),
    )


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, draft: BundleDraft, graph: Path) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle") / "cells", draft, {"model.onnx": graph}).folder


@pytest.fixture(scope="session")
def predictor(bundle: Path) -> Predictor:
    return Predictor.open(bundle, threads=1)


@pytest.fixture
def draw_scan(tmp_path: Path) -> Callable[[int], Path]:
    """A bright disc in the dark with texture inside: enough of a head for every step to have work."""

    def draw(seed: int) -> Path:
        rng = np.random.default_rng(seed)
        height, width = rng.integers(80, 140, size=2)
        rows, columns = np.mgrid[:height, :width]
        inside = np.hypot((rows - height / 2) / height, (columns - width / 2) / width) < rng.uniform(0.3, 0.48)
        grey = np.where(inside, rng.integers(60, 255, size=(height, width)) // rng.integers(1, 4), 0)
        path = tmp_path / f"scan {seed}.png"
        Image.fromarray(grey.astype(np.uint8)).save(path)
        return path

    return draw
