"""Let an exported graph see each scan at a second, larger size, with the same weights or another network's."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import compose, helper, numpy_helper

from brainslice.files import atomic_file
from brainslice.models.ensemble import INPUT, merge_duplicates, shape_of
from brainslice.models.export import canonicalise

_OWN: Final = "own/"
_SECOND: Final = "second/"
_AVERAGED: Final = ("logits", "class_maps")
_SCANS: Final = "first_axis"


def add_second_size(source: Path, target: Path, size: int, healthy: int, network: Path | None = None) -> None:
    """Write a graph whose ``logits`` and ``class_maps`` are means over scans at its own size and enlarged.

    Scans and class maps are resized bilinearly. Other outputs stay as they are, and equal weights are stored once.

    Args:
        source: A graph of the pyramid head, as ``export_onnx`` writes it. Its class maps are differences to that of the
            healthy class, whose logit is therefore 0.
        target: Where the new graph goes, whole or not at all; may be ``source``.
        size: Rows and columns of the enlarged scan in pixels, a multiple of 32, since five stages halve it.
        healthy: The index of the healthy class.
        network: The graph of another network for the enlarged scan, of this input size; the same network where None.

    Raises:
        ResourceError: The disk is full.

    Reference:
        Touvron et al., Fixing the train-test resolution discrepancy, NeurIPS 2019, for larger scans at prediction.
    """
    model = onnx.load(source)
    graph, outputs = model.graph, [value.name for value in model.graph.output]
    shapes = {value.name: shape_of(value) for value in (*graph.input, *graph.output)}
    own, *_ = shapes[INPUT]
    rows, columns, classes = shapes["class_maps"]
    first = compose.add_prefix(model, _OWN, rename_inputs=False).graph
    other = onnx.load(network) if network else model
    second = compose.add_prefix(other, _SECOND, rename_inputs=False).graph
    scan, logits, maps = (_SECOND + name for name in (INPUT, *_AVERAGED))
    _take_enlarged(second, scan, own, size)
    nodes = [
        *first.node,
        *_resize(INPUT, scan),
        *second.node,
        *_resize(maps, f"{maps}_like_own"),
        # Log-mean-exp divides by the number of positions at the graph's own size, which shifts all logits alike.
        helper.make_node("Gather", [logits, "healthy"], [f"{logits}_shift"], axis=1),
        helper.make_node("Sub", [logits, f"{logits}_shift"], [f"{logits}_like_own"]),
    ]
    for name in outputs:
        parts = [_OWN + name, *([f"{_SECOND}{name}_like_own"] if name in _AVERAGED else [])]
        nodes.append(helper.make_node("Mean", parts, [name]))
    arrays = [
        *first.initializer,
        *second.initializer,
        _numbers(f"{scan}_shape", 1, size, size),
        _numbers(f"{maps}_like_own_shape", classes, rows, columns),
        _numbers("healthy", healthy),
        _numbers(_SCANS, 0),
    ]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(arrays)
    merge_duplicates(graph)
    canonicalise(graph)
    onnx.checker.check_model(model)
    with atomic_file(target) as temporary:
        temporary.write_bytes(model.SerializeToString(deterministic=True))


def _take_enlarged(graph: onnx.GraphProto, scan: str, own: int, size: int) -> None:
    """Let a graph take the scan of another name and size."""
    for node in graph.node:
        node.input[:] = [scan if name == INPUT else name for name in node.input]
    for array in graph.initializer:
        # The converter may move the only channel of a scan by a reshape.
        if np.array_equal(numpy_helper.to_array(array), [-1, 1, own, own]):
            array.CopyFrom(_numbers(array.name, -1, 1, size, size))


def _numbers(name: str, *values: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(values), name)


def _resize(name: str, result: str) -> list[onnx.NodeProto]:
    """Make the nodes that resize ``(n, rows, columns, c)`` to the array ``{result}_shape``: ``c, rows, columns``."""
    first, lengths, scans, shape, resized = (f"{result}_{part}" for part in ("first", "own", "n", "whole", "resized"))
    return [
        helper.make_node("Transpose", [name], [first], perm=[0, 3, 1, 2]),
        helper.make_node("Shape", [first], [lengths]),
        helper.make_node("Gather", [lengths, _SCANS], [scans], axis=0),
        helper.make_node("Concat", [scans, f"{result}_shape"], [shape], axis=0),
        helper.make_node("Resize", [first, "", "", shape], [resized], mode="linear"),
        helper.make_node("Transpose", [resized], [result], perm=[0, 2, 3, 1]),
    ]
