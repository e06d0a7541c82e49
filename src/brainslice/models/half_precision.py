"""Store the weights of graphs in half precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from brainslice.errors import ParityError
from brainslice.files import atomic_file

_MIN_FLOAT16_SIZE = 1024
"""Smaller arrays stay in float32: they need little space, and normalisation is sensitive to them."""


def to_float16(source: Path, target: Path) -> None:
    """Write a copy of a graph whose large weights are stored as float16, each followed by a cast to float32.

    Inputs, outputs and arithmetic are unchanged. An engine folds the casts when it opens the graph, so that inference
    takes no longer.

    Raises:
        ParityError: A weight is too large for float16.
        ResourceError: The disk is full.
    """
    model = onnx.load(source)
    weights = list(model.graph.initializer)
    nodes = [*(cast for array in weights if (cast := _convert_array(array))), *model.graph.node]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(weights)
    onnx.checker.check_model(model)
    with atomic_file(target) as temporary:
        onnx.save(model, temporary)


def _convert_array(array: TensorProto) -> onnx.NodeProto | None:
    """Convert a large float32 array in place and return the cast that replaces it; None for others."""
    if array.data_type != TensorProto.FLOAT or np.prod(array.dims) < _MIN_FLOAT16_SIZE:
        return None
    name = array.name
    with np.errstate(over="ignore"):
        values = numpy_helper.to_array(array).astype(np.float16)
    if not np.isfinite(values).all():
        msg = f"the weights {name} are too large for 16 bits; keep the bundle as it is"
        raise ParityError(msg)
    array.CopyFrom(numpy_helper.from_array(values, f"{name}_half"))
    return helper.make_node("Cast", [array.name], [name], name=f"{name}_cast", to=TensorProto.FLOAT)
