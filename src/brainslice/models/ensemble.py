"""Join several exported graphs into one ensemble graph, with common parts stored and computed once.

Equal nodes with equal inputs are merged, so members trained on a common frozen part share it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import compose, helper, numpy_helper

from brainslice.errors import BundleError
from brainslice.files import atomic_file

INPUT: Final = "scan"
"""The name of the input of every graph."""

_JOINED: Final = ("logits", "class_maps", "features")
_MAX_BYTES: Final = 2**31 - 1


def pack_graphs(graphs: Sequence[Path], path: Path) -> None:
    """Write the graph of an ensemble, whole or not at all.

    ``logits`` and ``class_maps`` are means over members; ``member_logits`` ``(n, m, k)`` are stacked, and ``features``
    ``(n, f)`` concatenated.

    Args:
        graphs: The members' graphs, as ``export_onnx`` writes them; at least two.
        path: Where the ensemble's graph goes.

    Raises:
        BundleError: A graph lacks an output, operator set versions differ, or the result exceeds 2 GiB.
        ResourceError: The disk is full.
    """
    members = [_read(graph, index) for index, graph in enumerate(graphs)]
    _check_opsets(graphs, members)
    graph = helper.make_graph(
        nodes=[*(node for member in members for node in member.graph.node), *_joining_nodes(len(members))],
        name="ensemble",
        inputs=[members[0].graph.input[0]],
        outputs=_outputs(members),
        initializer=[
            *(tensor for member in members for tensor in member.graph.initializer),
            numpy_helper.from_array(np.array([1], np.int64), "members_axis"),
        ],
    )
    merge_duplicates(graph)
    packed = helper.make_model(graph, opset_imports=members[0].opset_import, ir_version=members[0].ir_version)
    if packed.ByteSize() > _MAX_BYTES:
        msg = f"{path}: an ensemble's graph must be smaller than 2 GiB, got {packed.ByteSize()}; take fewer members"
        raise BundleError(msg)
    onnx.checker.check_model(packed)
    with atomic_file(path) as temporary:
        onnx.save(packed, temporary)


def _read(path: Path, index: int) -> onnx.ModelProto:
    """Read one member, with all names prefixed except the input's."""
    model = onnx.load(path)
    missing = sorted(set(_JOINED) - {output.name for output in model.graph.output})
    if missing or [value.name for value in model.graph.input] != [INPUT]:
        fault = f"lacks {', '.join(missing)}" if missing else f"has other inputs than {INPUT!r}"
        msg = f"{path}: the graph {fault}; an older brainslice exported it, train this member again"
        raise BundleError(msg)
    del model.graph.value_info[:]
    return compose.add_prefix(model, _prefix(index), rename_inputs=False)


def _prefix(index: int) -> str:
    return f"member{index}/"


def _check_opsets(graphs: Sequence[Path], members: Sequence[onnx.ModelProto]) -> None:
    opsets = [sorted((opset.domain, opset.version) for opset in member.opset_import) for member in members]
    for graph, versions in zip(graphs, opsets, strict=True):
        if versions != opsets[0]:
            msg = f"{graph}: must use the operators {opsets[0]} as {graphs[0]} does, got {versions}; train it again"
            raise BundleError(msg)


def _joining_nodes(members: int) -> Iterator[onnx.NodeProto]:
    """Make the nodes that average logits and class maps, and concatenate features and member logits."""
    names = {name: [_prefix(index) + name for index in range(members)] for name in _JOINED}
    yield helper.make_node("Mean", names["logits"], ["logits"])
    yield helper.make_node("Mean", names["class_maps"], ["class_maps"])
    yield helper.make_node("Concat", names["features"], ["features"], axis=1)
    for name in names["logits"]:
        yield helper.make_node("Unsqueeze", [name, "members_axis"], [f"{name}/unsqueezed"])
    unsqueezed = [f"{name}/unsqueezed" for name in names["logits"]]
    yield helper.make_node("Concat", unsqueezed, ["member_logits"], axis=1)


def _outputs(members: Sequence[onnx.ModelProto]) -> list[onnx.ValueInfoProto]:
    own = [{value.name: shape_of(value) for value in member.graph.output} for member in members]
    logits, class_maps, features = (
        [sizes[_prefix(index) + name] for index, sizes in enumerate(own)] for name in _JOINED
    )
    shapes = {
        "logits": logits[0],
        "class_maps": class_maps[0],
        "features": [sum(count for (count,) in features)],
        "member_logits": [len(members), *logits[0]],
    }
    kind = onnx.TensorProto.FLOAT
    return [helper.make_tensor_value_info(name, kind, ["n", *sizes]) for name, sizes in shapes.items()]


def shape_of(value: onnx.ValueInfoProto) -> list[int]:
    """Return the lengths of all axes except the first."""
    return [int(dimension.dim_value) for dimension in value.type.tensor_type.shape.dim[1:]]


def merge_duplicates(graph: onnx.GraphProto) -> None:
    """Remove duplicate arrays and duplicate nodes."""
    same: dict[str, str] = {}
    kept_arrays = _unique_arrays(graph, same)
    results = {value.name for value in graph.output}
    firsts: dict[bytes, onnx.NodeProto] = {}
    nodes = []
    for node in graph.node:
        renamed = [same.get(name, name) for name in node.input]
        del node.input[:]
        node.input.extend(renamed)
        first = firsts.setdefault(_digest(node, "name", "output", "doc_string"), node)
        if first is node or results & set(node.output):
            nodes.append(node)
        else:
            same.update(zip(node.output, first.output, strict=True))
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept_arrays)


def _unique_arrays(graph: onnx.GraphProto, same: dict[str, str]) -> list[onnx.TensorProto]:
    firsts: dict[bytes, str] = {}
    kept = []
    for tensor in graph.initializer:
        first = firsts.setdefault(_digest(tensor, "name"), tensor.name)
        if first == tensor.name:
            kept.append(tensor)
        else:
            same[tensor.name] = first
    return kept


def _digest(message: onnx.TensorProto | onnx.NodeProto, *without: str) -> bytes:
    copy = type(message)()
    copy.CopyFrom(message)
    for name in without:
        copy.ClearField(name)
    return hashlib.sha256(copy.SerializeToString(deterministic=True)).digest()
