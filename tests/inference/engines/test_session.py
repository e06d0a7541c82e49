from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from brainslice.errors import BundleError
from brainslice.inference.engines.session import OnnxSession


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


def test_all_outputs_come_in_the_graphs_order_unless_some_are_named(doubling: OnnxSession) -> None:
    batch = np.array([[1, 2, 3]], dtype=np.float32)
    double, square = doubling.run(batch)
    np.testing.assert_array_equal(double, 2 * batch)
    np.testing.assert_array_equal(square, batch**2)
    (alone,) = doubling.run(batch, ["square"])
    np.testing.assert_array_equal(alone, square)


def test_a_graph_tells_its_ports(doubling: OnnxSession) -> None:
    assert (doubling.input_name, doubling.input_axes) == ("x0", 2)
    assert doubling.output_names == ("double", "square")


@pytest.mark.parametrize("kinds", [(TensorProto.DOUBLE,), (TensorProto.FLOAT, TensorProto.FLOAT)])
def test_a_graph_with_other_inputs_is_refused(tmp_path: Path, kinds: tuple[int, ...]) -> None:
    path = write(tmp_path / "graph.onnx", *kinds)
    with pytest.raises(BundleError, match="must have one input of 32-bit floats"):
        OnnxSession(path)


@pytest.mark.parametrize("shape", [(1, 4), (3,), (0, 0)])
def test_an_input_of_another_shape_is_one_clear_line(doubling: OnnxSession, shape: tuple[int, ...]) -> None:
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
from brainslice.inference.engines.session import OnnxSession
OnnxSession(Path(sys.argv[1])).run(np.ones((1, 3), np.float32))
time.sleep(0.5)
"""


def test_running_a_graph_reports_to_nobody_and_leaves_nothing_below_the_home_folder(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    command = [sys.executable, "-c", RUN_ONCE, str(write(tmp_path / "graph.onnx", TensorProto.FLOAT))]
    subprocess.run(command, env=variables | {"HOME": str(home)}, check=True)
    assert list(home.rglob("*")) == []
