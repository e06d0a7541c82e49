from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from brainslice.errors import BundleError
from brainslice.inference.engines.onnx_engine import OnnxEngine

write_graph: Callable[..., Path] = runpy.run_path(str(Path(__file__).parents[1] / "conftest.py"))["write_graph"]


def refusal_of(action: Callable[[], Any]) -> str:
    with pytest.raises(BundleError) as refusal:
        action()
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_missing_graph_is_named(tmp_path: Path) -> None:
    assert "there is none" in refusal_of(lambda: OnnxEngine(tmp_path / "model.onnx"))


@pytest.mark.parametrize("data", [b"", b"no graph", bytes(1000), b"\x08\x07" + bytes(50)])
def test_a_file_that_is_no_graph_is_one_clear_line(
    tmp_path: Path, data: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    assert refusal_of(lambda: OnnxEngine(path)).startswith(f"{path}: must be an ONNX graph")
    assert capfd.readouterr() == ("", "")


def test_a_truncated_graph_is_one_clear_line(tmp_path: Path, graph: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(graph.read_bytes()[:-40])
    assert str(path) in refusal_of(lambda: OnnxEngine(path))


def test_a_graph_with_another_input_is_not_ours(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "model.onnx", name="keras_tensor")
    assert "input must be 'scan' with 4 axes" in refusal_of(lambda: OnnxEngine(path))


def test_a_graph_without_class_maps_is_not_ours(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "model.onnx", maps="features")
    assert "must have the outputs logits, class_maps, got ['logits', 'features']" in refusal_of(
        lambda: OnnxEngine(path)
    )


def test_a_graph_that_tells_no_features_gives_none_of_them(graph: Path) -> None:
    output = OnnxEngine(graph).run(np.zeros((3, 64, 64), dtype=np.uint8))
    assert output.features.shape == (3, 0)
    assert output.member_logits is None


def test_scans_of_another_size_are_refused_in_one_line(graph: Path, capfd: pytest.CaptureFixture[str]) -> None:
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


def test_answers_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
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
def test_answers_of_other_shapes_are_refused(tmp_path: Path, maps: str, logits: str) -> None:
    engine = write_odd_graph(
        tmp_path / "model.onnx",
        helper.make_node(maps, ["scan"], ["class_maps"]),
        helper.make_node(logits, ["scan"], ["logits"]),
    )
    white = np.full((2, 8, 8), 255, dtype=np.uint8)
    assert "logits must be (n, k) and class maps (n, mh, mw, k)" in refusal_of(lambda: engine.run(white))


@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_changes_nothing(graph: Path, threads: int) -> None:
    batch = np.random.default_rng(0).integers(0, 256, size=(3, 64, 64), dtype=np.uint8)
    some, one = OnnxEngine(graph, threads=threads).run(batch), OnnxEngine(graph, threads=1).run(batch)
    np.testing.assert_allclose(some.logits, one.logits, atol=1e-6)
