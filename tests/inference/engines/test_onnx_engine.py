from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from brainslice.errors import BundleError
from brainslice.inference.default_bundle import DEFAULT_BUNDLE
from brainslice.inference.engines import onnx_engine
from brainslice.inference.engines.onnx_engine import OnnxEngine, OnnxSession

write_graph: Callable[..., Path] = runpy.run_path(str(Path(__file__).parents[1] / "conftest.py"))["write_graph"]


def refusal_of(action: Callable[[], Any]) -> str:
    with pytest.raises(BundleError) as refusal:
        action()
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_missing_graph_raises(tmp_path: Path) -> None:
    assert "there is none" in refusal_of(lambda: OnnxEngine(tmp_path / "model.onnx"))


@pytest.mark.parametrize("data", [b"", b"no graph", bytes(1000), b"\x08\x07" + bytes(50)])
def test_other_files_raise(tmp_path: Path, data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    assert refusal_of(lambda: OnnxEngine(path)).startswith(f"{path}: must be an ONNX graph")
    assert capfd.readouterr() == ("", "")


def test_truncated_graph_raises(tmp_path: Path, graph: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(graph.read_bytes()[:-40])
    assert str(path) in refusal_of(lambda: OnnxEngine(path))


def test_graph_with_another_input_raises(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "model.onnx", name="keras_tensor")
    assert "input must be 'scan' with 4 axes" in refusal_of(lambda: OnnxEngine(path))


def test_graph_without_class_maps_raises(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "model.onnx", maps="features")
    assert "must have the outputs logits, class_maps, got ['logits', 'features']" in refusal_of(
        lambda: OnnxEngine(path)
    )


def test_graph_without_features(graph: Path) -> None:
    output = OnnxEngine(graph).run(np.zeros((3, 64, 64), dtype=np.uint8))
    assert output.features.shape == (3, 0)
    assert output.member_logits is None


def test_inputs_of_another_size_raise(graph: Path, capfd: pytest.CaptureFixture[str]) -> None:
    engine = OnnxEngine(graph)
    assert "(1, 32, 48, 1)" in refusal_of(lambda: engine.run(np.zeros((1, 32, 48), dtype=np.uint8)))
    assert capfd.readouterr() == ("", "")


def write_odd_graph(path: Path, *nodes: onnx.NodeProto) -> OnnxEngine:
    made = helper.make_graph(
        list(nodes),
        "odd",
        [helper.make_tensor_value_info("scan", TensorProto.FLOAT, ["n", 8, 8, 1])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("logits", "class_maps")],
    )
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return OnnxEngine(path)


def test_outputs_of_nan_raise(tmp_path: Path) -> None:
    engine = write_odd_graph(
        tmp_path / "model.onnx",
        helper.make_node("Div", ["scan", "scan"], ["class_maps"]),
        helper.make_node("ReduceMean", ["class_maps"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["logits"]),
    )
    black = np.zeros((1, 8, 8), dtype=np.uint8)
    assert "got NaN or infinity" in refusal_of(lambda: engine.run(black))


@pytest.mark.parametrize(
    ("maps", "logits"), [("Identity", "Flatten"), ("Flatten", "Flatten"), ("Identity", "Identity")]
)
def test_outputs_of_other_shapes_raise(tmp_path: Path, maps: str, logits: str) -> None:
    engine = write_odd_graph(
        tmp_path / "model.onnx",
        helper.make_node(maps, ["scan"], ["class_maps"]),
        helper.make_node(logits, ["scan"], ["logits"]),
    )
    white = np.full((2, 8, 8), 255, dtype=np.uint8)
    assert "logits must be (n, k) and class maps (n, mh, mw, k)" in refusal_of(lambda: engine.run(white))


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_do_not_change_outputs(graph: Path, threads: int) -> None:
    batch = np.random.default_rng(0).integers(0, 256, size=(3, 64, 64), dtype=np.uint8)
    some, one = OnnxEngine(graph, threads=threads).run(batch), OnnxEngine(graph, threads=1).run(batch)
    np.testing.assert_allclose(some.logits, one.logits, atol=1e-6)


@pytest.mark.parametrize("scans", [2, 3, 4, 5, 33])
def test_a_divided_batch_has_the_outputs_of_a_whole_one(scans: int) -> None:
    path = DEFAULT_BUNDLE / "model.onnx"
    batch = np.random.default_rng(1).uniform(0, 255, size=(scans, 224, 224, 1)).astype(np.float32)
    divided = OnnxSession(path, threads=2).run(batch, ["logits", "class_maps"])
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for one, other in zip(divided, session.run(["logits", "class_maps"], {"scan": batch}), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("scans", [1, 3, 9, 20])
def test_runs_at_the_same_time_have_the_outputs_of_one_alone(scans: int) -> None:
    session = OnnxSession(DEFAULT_BUNDLE / "model.onnx", threads=2)
    batches = [np.random.default_rng(seed).uniform(0, 255, (scans, 224, 224, 1)).astype(np.float32) for seed in (1, 2)]
    alone = [session.run(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(session.run, batches * 4))
    for place, outputs in enumerate(together):
        for output, expected in zip(outputs, alone[place % 2], strict=True):
            np.testing.assert_array_equal(output, expected)


@pytest.mark.parametrize("replace", [Path.unlink, lambda path: path.write_bytes(b"another graph")])
def test_a_graph_that_is_replaced_after_opening_is_not_read_again(
    tmp_path: Path, replace: Callable[[Path], object]
) -> None:
    path = write(tmp_path / "graph.onnx", TensorProto.FLOAT)
    session = OnnxSession(path, threads=2)
    replace(path)
    double, _ = session.run(np.ones((6, 3), np.float32))
    np.testing.assert_array_equal(double, np.full((6, 3), 2.0, np.float32))


def test_a_graph_that_is_replaced_while_it_is_opened_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "graph.onnx", TensorProto.FLOAT)

    def check(_graph: bytes, checked: Path) -> None:
        write(checked, TensorProto.FLOAT, TensorProto.FLOAT)

    monkeypatch.setattr(onnx_engine, "check_graph", check)
    with pytest.raises(BundleError, match=r"graph\.onnx: was replaced while it was opened; open the bundle again"):
        OnnxSession(path)


def write(path: Path, *kinds: int) -> Path:
    """A graph that doubles its first input and multiplies it with its last."""
    names = [f"x{place}" for place in range(len(kinds))]
    nodes = [
        helper.make_node("Add", ["x0", "x0"], ["double"]),
        helper.make_node("Mul", ["x0", names[-1]], ["square"]),
    ]
    graph = helper.make_graph(
        nodes,
        "double",
        [helper.make_tensor_value_info(name, kind, ["n", 3]) for name, kind in zip(names, kinds, strict=True)],
        [helper.make_tensor_value_info(name, kinds[0], ["n", 3]) for name in ("double", "square")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


@pytest.fixture
def doubling(tmp_path: Path) -> OnnxSession:
    return OnnxSession(write(tmp_path / "graph.onnx", TensorProto.FLOAT))


def test_outputs_by_order_and_by_name(doubling: OnnxSession) -> None:
    batch = np.array([[1, 2, 3]], dtype=np.float32)
    double, square = doubling.run(batch)
    np.testing.assert_array_equal(double, 2 * batch)
    np.testing.assert_array_equal(square, batch**2)
    (alone,) = doubling.run(batch, ["square"])
    np.testing.assert_array_equal(alone, square)


def test_input_and_output_names(doubling: OnnxSession) -> None:
    assert (doubling.input_name, doubling.input_axes) == ("x0", 2)
    assert doubling.output_names == ("double", "square")


@pytest.mark.parametrize("kinds", [(TensorProto.DOUBLE,), (TensorProto.FLOAT, TensorProto.FLOAT)])
def test_graph_with_several_inputs_raises(tmp_path: Path, kinds: tuple[int, ...]) -> None:
    path = write(tmp_path / "graph.onnx", *kinds)
    with pytest.raises(BundleError, match="must have one input of 32-bit floats"):
        OnnxSession(path)


@pytest.mark.parametrize("shape", [(1, 4), (3,), (0, 0)])
def test_input_of_another_shape_raises(doubling: OnnxSession, shape: tuple[int, ...]) -> None:
    with pytest.raises(BundleError) as refusal:
        doubling.run(np.zeros(shape, dtype=np.float32))
    assert "\n" not in str(refusal.value)
    assert str(shape) in str(refusal.value)


RUN_ONCE = """
import sys, time
import os
import subprocess
import sys
from pathlib import Path
import numpy as np
from brainslice.inference.engines.onnx_engine import OnnxSession
OnnxSession(Path(sys.argv[1])).run(np.ones((1, 3), np.float32))
time.sleep(0.5)
"""


def test_onnx_runtime_telemetry_is_disabled(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    command = [sys.executable, "-c", RUN_ONCE, str(write(tmp_path / "graph.onnx", TensorProto.FLOAT))]
    subprocess.run(command, env=variables | {"HOME": str(home)}, check=True)
    assert list(home.rglob("*")) == []
