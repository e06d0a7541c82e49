"""Several exported graphs become one, and what they have in common is computed once.

Members that were trained from the same first weights share every layer that training left alone. Two nodes that do the
same to the same inputs give the same numbers, so one of them is enough: of an ensemble trained above a common trunk,
the trunk is stored and run once.
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
"""The one input of every graph."""

_JOINED: Final = ("logits", "class_maps", "features")
_LARGEST: Final = 2**31 - 1


def pack_graphs(graphs: Sequence[Path], path: Path) -> None:
    """Write the graph of an ensemble, whole or not at all.

    Its ``logits`` and ``class_maps`` are the means of the members', so that the spatial mean of a class map still is
    the logit; ``member_logits`` ``(n, m, k)`` are theirs in order, and ``features`` ``(n, f)`` theirs side by side.

    Args:
        graphs: The members' graphs, as ``export_onnx`` writes them; at least two.
        path: Where the ensemble's graph goes.

    Raises:
        BundleError: A graph lacks an output, or two were written in different versions of the language, or together
            they are larger than one file of this kind can be.
        ResourceError: The disk is full.
    """
    members = [_read(graph, place) for place, graph in enumerate(graphs)]
    _refuse_two_languages(graphs, members)
    inside = helper.make_graph(
        nodes=[*(node for member in members for node in member.graph.node), *_joints(len(members))],
        name="ensemble",
        inputs=[members[0].graph.input[0]],
        outputs=_outputs(members),
        initializer=[*(tensor for member in members for tensor in member.graph.initializer), _members_axis()],
    )
    _share(inside)
    packed = helper.make_model(inside, opset_imports=members[0].opset_import, ir_version=members[0].ir_version)
    if packed.ByteSize() > _LARGEST:
        msg = f"{path}: an ensemble's graph must be smaller than 2 GiB, got {packed.ByteSize()}; take fewer members"
        raise BundleError(msg)
    onnx.checker.check_model(packed)
    with atomic_file(path) as temporary:
        onnx.save(packed, temporary)


def _read(path: Path, place: int) -> onnx.ModelProto:
    """Read one member; all its names but the input's say whose they are."""
    model = onnx.load(path)
    missing = sorted(set(_JOINED) - {output.name for output in model.graph.output})
    if missing or [value.name for value in model.graph.input] != [INPUT]:
        fault = f"lacks {', '.join(missing)}" if missing else f"has other inputs than {INPUT!r}"
        msg = f"{path}: the graph {fault}; an older brainslice exported it, train this member again"
        raise BundleError(msg)
    del model.graph.value_info[:]
    return compose.add_prefix(model, _prefix(place), rename_inputs=False)


def _prefix(place: int) -> str:
    return f"member{place}/"


def _refuse_two_languages(graphs: Sequence[Path], members: Sequence[onnx.ModelProto]) -> None:
    spoken = [sorted((opset.domain, opset.version) for opset in member.opset_import) for member in members]
    for graph, versions in zip(graphs, spoken, strict=True):
        if versions != spoken[0]:
            msg = f"{graph}: must use the operators {spoken[0]} as {graphs[0]} does, got {versions}; train it again"
            raise BundleError(msg)


def _joints(members: int) -> Iterator[onnx.NodeProto]:
    """Average what is averaged, and lay beside each other what is kept."""
    theirs = {name: [_prefix(place) + name for place in range(members)] for name in _JOINED}
    yield helper.make_node("Mean", theirs["logits"], ["logits"])
    yield helper.make_node("Mean", theirs["class_maps"], ["class_maps"])
    yield helper.make_node("Concat", theirs["features"], ["features"], axis=1)
    apart = [f"{name}/apart" for name in theirs["logits"]]
    for name, place in zip(theirs["logits"], apart, strict=True):
        yield helper.make_node("Unsqueeze", [name, "members_axis"], [place])
    yield helper.make_node("Concat", apart, ["member_logits"], axis=1)


def _members_axis() -> onnx.TensorProto:
    return numpy_helper.from_array(np.array([1], np.int64), "members_axis")


def _outputs(members: Sequence[onnx.ModelProto]) -> list[onnx.ValueInfoProto]:
    own = [{value.name: _sizes(value) for value in member.graph.output} for member in members]
    logits, class_maps, features = (
        [sizes[_prefix(place) + name] for place, sizes in enumerate(own)] for name in _JOINED
    )
    found = {
        "logits": logits[0],
        "class_maps": class_maps[0],
        "features": [sum(count for (count,) in features)],
        "member_logits": [len(members), *logits[0]],
    }
    kind = onnx.TensorProto.FLOAT
    return [helper.make_tensor_value_info(name, kind, ["n", *sizes]) for name, sizes in found.items()]


def _sizes(value: onnx.ValueInfoProto) -> list[int]:
    """Give the lengths of all axes but the first, which counts scans."""
    return [int(dimension.dim_value) for dimension in value.type.tensor_type.shape.dim[1:]]


def _share(graph: onnx.GraphProto) -> None:
    """Keep one of each two arrays, and of each two nodes, that are the same."""
    same: dict[str, str] = {}
    kept_arrays = _first_of_each(graph, same)
    results = {value.name for value in graph.output}
    seen: dict[bytes, onnx.NodeProto] = {}
    nodes = []
    for node in graph.node:
        renamed = [same.get(name, name) for name in node.input]
        del node.input[:]
        node.input.extend(renamed)
        twin = seen.setdefault(_what_it_does(node), node)
        if twin is node or results & set(node.output):
            nodes.append(node)
        else:
            same.update(zip(node.output, twin.output, strict=True))
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept_arrays)


def _first_of_each(graph: onnx.GraphProto, same: dict[str, str]) -> list[onnx.TensorProto]:
    seen: dict[bytes, str] = {}
    kept = []
    for tensor in graph.initializer:
        first = seen.setdefault(_bytes_of(tensor, "name"), tensor.name)
        if first == tensor.name:
            kept.append(tensor)
        else:
            same[tensor.name] = first
    return kept


def _what_it_does(node: onnx.NodeProto) -> bytes:
    return _bytes_of(node, "name", "output", "doc_string")


def _bytes_of(message: onnx.TensorProto | onnx.NodeProto, *without: str) -> bytes:
    copy = type(message)()
    copy.CopyFrom(message)
    for name in without:
        copy.ClearField(name)
    return hashlib.sha256(copy.SerializeToString(deterministic=True)).digest()
