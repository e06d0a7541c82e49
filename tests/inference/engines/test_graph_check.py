from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from brainslice.errors import BundleError
from brainslice.inference.default_bundle import DEFAULT_BUNDLE
from brainslice.inference.engines.graph_check import check_graph
from brainslice.inference.engines.onnx_engine import OnnxSession

SCAN = helper.make_tensor_value_info("scan", TensorProto.FLOAT, ["n", 8, 8, 1])
LOGITS = helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)


def write(path: Path, *nodes: onnx.NodeProto, arrays: tuple[onnx.TensorProto, ...] = ()) -> Path:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("strange", 1)]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [SCAN], [LOGITS], arrays), opset_imports=opsets), path)
    return path


def branch(name: str) -> onnx.GraphProto:
    value = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
    return helper.make_graph([helper.make_node("Identity", ["scan"], [name])], name, [], [value])


def test_the_shipped_graph_is_accepted() -> None:
    path = DEFAULT_BUNDLE / "model.onnx"
    check_graph(path.read_bytes(), path)


def test_large_constants_are_refused(tmp_path: Path) -> None:
    shape = numpy_helper.from_array(np.array([1 << 20, 1 << 20], np.int64), "shape")
    path = write(tmp_path / "m.onnx", helper.make_node("ConstantOfShape", ["shape"], ["logits"]), arrays=(shape,))
    with pytest.raises(BundleError, match=r"m\.onnx: a graph must not use the operators ConstantOfShape"):
        OnnxSession(path)


def test_control_flow_and_custom_operators_are_refused(tmp_path: Path) -> None:
    condition = numpy_helper.from_array(np.ones((), np.bool_), "condition")
    choice = helper.make_node("If", ["condition"], ["a"], then_branch=branch("t"), else_branch=branch("e"))
    hidden = helper.make_node("Relu", ["a"], ["b"], body=branch("h"))
    other = helper.make_node("Run", ["b"], ["logits"], domain="strange")
    path = write(tmp_path / "m.onnx", choice, hidden, other, arrays=(condition,))
    with pytest.raises(BundleError, match=r"operators If, Relu, strange\.Run;"):
        check_graph(path.read_bytes(), path)


@pytest.mark.parametrize("kind", ["initializer", "sparse initializer", "attribute", "sparse attribute"])
def test_values_in_another_file_are_refused(tmp_path: Path, kind: str) -> None:
    other = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    other.external_data.add(key="location", value="secret.bin")
    places = numpy_helper.from_array(np.zeros(1, np.int64), "places")
    value = helper.make_sparse_tensor(other, places, [1]) if kind.startswith("sparse") else other
    nodes = [helper.make_node("Mul", ["scan", "w"], ["logits"])]
    if kind.endswith("attribute"):
        named = {"sparse_value": value} if kind.startswith("sparse") else {"value": value}
        nodes.insert(0, helper.make_node("Constant", [], ["w"], **named))
    graph = helper.make_graph(nodes, "g", [SCAN], [LOGITS])
    if kind == "initializer":
        graph.initializer.append(value)
    elif kind == "sparse initializer":
        graph.sparse_initializer.append(value)
    path = tmp_path / "m.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    with pytest.raises(BundleError, match=r"m\.onnx: must be an ONNX graph, .*some of its values are in another file"):
        OnnxSession(path)


@pytest.mark.parametrize("cut", [1, 100, 4000, -1])
def test_truncated_graphs_are_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes((DEFAULT_BUNDLE / "model.onnx").read_bytes()[:cut])
    with pytest.raises(BundleError, match="must be an ONNX graph"):
        check_graph(path.read_bytes(), path)


def test_random_bytes_are_refused_or_have_no_operators(tmp_path: Path) -> None:
    generator, path = np.random.default_rng(3), tmp_path / "m.onnx"
    for _ in range(200):
        path.write_bytes(generator.bytes(int(generator.integers(1, 300))))
        with pytest.raises(BundleError):
            OnnxSession(path)
