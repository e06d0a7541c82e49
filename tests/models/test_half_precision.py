from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from brainslice.errors import ParityError
from brainslice.models.half_precision import to_float16


def write_graph(path: Path, weights: np.ndarray) -> None:
    """One product with large weights, and a small bias."""
    rows, columns = weights.shape
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "weights"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["y"]),
        ],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", rows])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", columns])],
        [
            numpy_helper.from_array(weights.astype(np.float32), "weights"),
            numpy_helper.from_array(np.full(columns, 1 / 3, np.float32), "bias"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)


def answer(path: Path, values: np.ndarray) -> np.ndarray:
    return np.asarray(onnxruntime.InferenceSession(path).run(["y"], {"x": values})[0])


def test_half_the_bytes_give_the_answers_of_rounded_weights(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights, values = (rng.normal(size=size).astype(np.float32) for size in ((256, 64), (5, 256)))
    write_graph(tmp_path / "whole.onnx", weights)
    to_float16(tmp_path / "whole.onnx", tmp_path / "half.onnx")
    assert (tmp_path / "half.onnx").stat().st_size < 0.55 * (tmp_path / "whole.onnx").stat().st_size
    rounded = weights.astype(np.float16).astype(np.float32)
    np.testing.assert_allclose(answer(tmp_path / "half.onnx", values), values @ rounded + np.float32(1 / 3), atol=1e-4)


def test_what_is_small_keeps_its_digits_and_the_ends_keep_their_types(tmp_path: Path) -> None:
    write_graph(tmp_path / "whole.onnx", np.ones((64, 32)))
    to_float16(tmp_path / "whole.onnx", tmp_path / "half.onnx")
    graph = onnx.load(tmp_path / "half.onnx").graph
    kinds = {array.name: array.data_type for array in graph.initializer}
    assert kinds == {"weights_half": TensorProto.FLOAT16, "bias": TensorProto.FLOAT}
    assert {end.type.tensor_type.elem_type for end in (*graph.input, *graph.output)} == {TensorProto.FLOAT}


def test_weights_too_large_for_16_bits_are_refused(tmp_path: Path) -> None:
    write_graph(tmp_path / "whole.onnx", np.full((64, 32), 1e5))
    with pytest.raises(ParityError, match="the weights weights are too large for 16 bits"):
        to_float16(tmp_path / "whole.onnx", tmp_path / "half.onnx")
    assert not (tmp_path / "half.onnx").exists()
