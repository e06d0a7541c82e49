"""What every engine promises, whatever runs the network underneath."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import TensorProto, helper, numpy_helper

from brainslice.errors import BundleError
from brainslice.inference.engines.engine import Engine, EngineOutput
from brainslice.inference.engines.onnx_engine import OnnxEngine

SIDE, CELL, CLASSES = 32, 8, 3
KERNEL = np.random.default_rng(3).normal(scale=0.002, size=(CLASSES, 1, CELL, CELL)).astype(np.float32)
BIAS = np.array([0.2, -0.4, 1.0], dtype=np.float32)

Batches = arrays(np.uint8, st.tuples(st.integers(1, 5), st.just(SIDE), st.just(SIDE)))
here_and_now = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)


class PlainEngine:
    """The same network written out in numpy: the oracle for all others."""

    def run(self, batch: np.ndarray) -> EngineOutput:
        n, h, w = batch.shape
        if (h, w) != (SIDE, SIDE):
            msg = f"scans must be {SIDE} pixels square, got {h} x {w}; use another bundle"
            raise BundleError(msg)
        cells = batch.astype(np.float64).reshape(n, h // CELL, CELL, w // CELL, CELL)
        maps = np.einsum("nyaxb,kab->nyxk", cells, KERNEL[:, 0].astype(np.float64)) + BIAS
        return EngineOutput(
            logits=maps.mean(axis=(1, 2)), class_maps=maps, features=cells.mean(axis=(1, 2, 3, 4))[:, np.newaxis]
        )


def onnx_engine(folder: Path) -> OnnxEngine:
    nodes = [
        helper.make_node("Transpose", ["scan"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["first", "kernel", "bias"], ["maps"], strides=[CELL, CELL]),
        helper.make_node("Transpose", ["maps"], ["class_maps"], perm=[0, 2, 3, 1]),
        helper.make_node("ReduceMean", ["class_maps", "space"], ["logits"], keepdims=0),
        helper.make_node("ReduceMean", ["scan", "space"], ["features"], keepdims=0),
    ]
    constants = {"kernel": KERNEL, "bias": BIAS, "space": np.array([1, 2], dtype=np.int64)}
    graph = helper.make_graph(
        nodes,
        "contract",
        [helper.make_tensor_value_info("scan", TensorProto.FLOAT, ["n", SIDE, SIDE, 1])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", CLASSES]),
            helper.make_tensor_value_info("class_maps", TensorProto.FLOAT, ["n", "mh", "mw", CLASSES]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 1]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, folder / "model.onnx")
    return OnnxEngine(folder / "model.onnx")


ENGINES: dict[str, Callable[[Path], Engine]] = {"numpy": lambda _: PlainEngine(), "onnx": onnx_engine}


@pytest.fixture(scope="module", params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return ENGINES[request.param](tmp_path_factory.mktemp("engine"))


@here_and_now
@given(Batches)
def test_logits_are_the_spatial_means_of_the_class_maps(engine: Engine, batch: np.ndarray) -> None:
    output = engine.run(batch)
    np.testing.assert_allclose(output.logits, output.class_maps.mean(axis=(1, 2)), atol=1e-5)


@here_and_now
@given(Batches)
def test_a_scan_gets_the_same_answer_alone_and_in_a_batch(engine: Engine, batch: np.ndarray) -> None:
    together = engine.run(batch)
    for place in range(len(batch)):
        alone = engine.run(batch[place : place + 1])
        np.testing.assert_allclose(alone.logits[0], together.logits[place], atol=1e-6)
        np.testing.assert_allclose(alone.class_maps[0], together.class_maps[place], atol=1e-6)
        np.testing.assert_allclose(alone.features[0], together.features[place], rtol=1e-5)


@here_and_now
@given(Batches)
def test_every_engine_gives_the_numbers_of_the_network_written_out(engine: Engine, batch: np.ndarray) -> None:
    output, expected = engine.run(batch), PlainEngine().run(batch)
    np.testing.assert_allclose(output.logits, expected.logits, atol=1e-4)
    np.testing.assert_allclose(output.class_maps, expected.class_maps, atol=1e-4)
    np.testing.assert_allclose(output.features, expected.features, atol=1e-3)


@here_and_now
@given(Batches)
def test_the_batch_is_left_as_it_was(engine: Engine, batch: np.ndarray) -> None:
    before = batch.copy()
    engine.run(batch)
    np.testing.assert_array_equal(batch, before)


def test_an_empty_picture_leaves_the_bias_alone(engine: Engine) -> None:
    output = engine.run(np.zeros((2, SIDE, SIDE), dtype=np.uint8))
    np.testing.assert_allclose(output.logits, np.tile(BIAS, (2, 1)), atol=1e-6)


def test_a_view_into_a_larger_array_is_taken_as_it_is(engine: Engine) -> None:
    wide = np.random.default_rng(0).integers(0, 256, size=(4, SIDE, 2 * SIDE), dtype=np.uint8)
    view = wide[::2, :, ::2]
    np.testing.assert_array_equal(engine.run(view).logits, engine.run(view.copy()).logits)


def test_inputs_of_another_size_raise(engine: Engine) -> None:
    with pytest.raises(BundleError) as refusal:
        engine.run(np.zeros((1, SIDE // 2, SIDE), dtype=np.uint8))
    assert "\n" not in str(refusal.value)
