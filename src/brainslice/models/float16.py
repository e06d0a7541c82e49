"""A graph's weights in half the bytes: stored as 16-bit floats, turned back into 32 when the graph is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from brainslice.errors import ParityError
from brainslice.files import atomic_file

_FEWEST: Final = 1024
"""Smaller arrays stay as they are: they weigh nothing, and normalisation is sensitive to them."""


def to_float16(source: Path, target: Path) -> None:
    """Write a graph with the same inputs, outputs and arithmetic whose large weights are stored in 16 bits.

    Each is followed by a cast to 32 bits, which an engine carries out once, when it opens the graph: answers take no
    longer, and only the rounding of the weights can change them.

    Args:
        source: The graph.
        target: Where the smaller one goes, whole or not at all.

    Raises:
        ParityError: A weight is too large for 16 bits.
        ResourceError: The disk is full.
    """
    model = onnx.load(source)
    stored = list(model.graph.initializer)
    casts = [cast for array in stored if (cast := _halved(array))]
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.graph.initializer[:]
    model.graph.initializer.extend(stored)
    onnx.checker.check_model(model)
    with atomic_file(target) as temporary:
        onnx.save(model, temporary)


def _halved(array: TensorProto) -> onnx.NodeProto | None:
    """Round an array in place and give the cast that stands for it from now on; None where it stays."""
    if array.data_type != TensorProto.FLOAT or np.prod(array.dims) < _FEWEST:
        return None
    name = array.name
    with np.errstate(over="ignore"):
        values = numpy_helper.to_array(array).astype(np.float16)
    if not np.isfinite(values).all():
        msg = f"the weights {name} are too large for 16 bits; keep the bundle as it is"
        raise ParityError(msg)
    array.CopyFrom(numpy_helper.from_array(values, f"{name}_half"))
    return helper.make_node("Cast", [array.name], [name], name=f"{name}_cast", to=TensorProto.FLOAT)
