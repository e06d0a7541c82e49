"""Check the operators of an ONNX file before an engine opens it.

An engine computes constants and loops when it opens or runs a graph, so that a small hostile file can take all memory
or never end. The file is read as protocol buffer fields (``onnx.proto3``), since predicting installs no ONNX package.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from brainslice.errors import BundleError

_MODEL_GRAPH, _GRAPH_NODE, _NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 7, 1, 4, 5, 7
_GRAPH_TENSOR, _GRAPH_SPARSE, _SPARSE_VALUES, _SPARSE_PLACES, _TENSOR_FILE = 5, 15, 1, 2, 13
_ATTRIBUTE_GRAPHS: Final = frozenset({6, 11})
_ATTRIBUTE_TENSORS: Final = frozenset({5, 10})
_ATTRIBUTE_SPARSE: Final = frozenset({22, 23})
_REFUSED: Final = frozenset({
    "If", "Loop", "Scan", "SequenceMap", "ConstantOfShape", "EyeLike", "Expand", "Range", "Tile",
    "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
})  # fmt: skip
"""Operators with loops, or whose output is larger than their inputs; no network that brainslice exports has them."""

_DOMAINS: Final = frozenset({"", "ai.onnx", "ai.onnx.ml"})
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def check_graph(graph: bytes, path: Path) -> None:
    """Check that a graph has plain operators only, and its weights in itself.

    Args:
        graph: The content of the file.
        path: The file, for messages.

    Raises:
        BundleError: The file is no ONNX graph, has an operator that loops, makes large arrays or is not standard, or
            names other files.
    """
    try:
        faults = sorted(set(_faults(memoryview(graph))))
    except (IndexError, ValueError) as error:
        msg = f"{path}: must be an ONNX graph, got something else ({error}); copy the bundle again"
        raise BundleError(msg) from error
    if faults:
        msg = f"{path}: a graph must not use the operators {', '.join(faults)}; use a bundle that brainslice wrote"
        raise BundleError(msg)


def _faults(model: memoryview) -> Iterator[str]:
    for number, graph in _fields(model):
        if number == _MODEL_GRAPH:
            for key, value in _fields(graph):
                if key == _GRAPH_TENSOR:
                    _check_tensor(value)
                elif key == _GRAPH_SPARSE:
                    _check_sparse(value)
                elif key == _GRAPH_NODE and (fault := _fault(value)):
                    yield fault


def _check_tensor(tensor: memoryview) -> None:
    """Refuse values in another file, which the engine would read."""
    if any(number == _TENSOR_FILE for number, _ in _fields(tensor)):
        msg = "some of its values are in another file"
        raise ValueError(msg)


def _check_sparse(tensor: memoryview) -> None:
    for number, part in _fields(tensor):
        if number in {_SPARSE_VALUES, _SPARSE_PLACES}:
            _check_tensor(part)


def _fault(node: memoryview) -> str:
    operator = domain = ""
    has_graph = False
    for number, value in _fields(node):
        if number == _NODE_OPERATOR:
            operator = str(value, "utf-8")
        elif number == _NODE_DOMAIN:
            domain = str(value, "utf-8")
        elif number == _NODE_ATTRIBUTE:
            for key, part in _fields(value):
                has_graph = has_graph or key in _ATTRIBUTE_GRAPHS
                if key in _ATTRIBUTE_TENSORS:
                    _check_tensor(part)
                elif key in _ATTRIBUTE_SPARSE:
                    _check_sparse(part)
    plain = operator not in _REFUSED and domain in _DOMAINS and not has_graph
    return "" if plain else f"{domain}.{operator}".lstrip(".")


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the number and the bytes of each field that has a length; skip numbers."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _BYTES:
            length, at = _varint(message, at)
            if at + length > len(message):
                msg = "it ends within a field"
                raise ValueError(msg)
            yield key >> 3, message[at : at + length]
            at += length
        elif kind == _VARINT:
            _, at = _varint(message, at)
        elif kind in {_FIXED32, _FIXED64}:
            at += 4 if kind == _FIXED32 else 8
        else:
            msg = f"wire type {kind} of a field is unknown"
            raise ValueError(msg)


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004 - the last byte of a number lacks the highest bit
            return value, at
        if shift > 63:  # noqa: PLR2004 - numbers have at most 64 bits
            msg = "a number has more than 64 bits"
            raise ValueError(msg)
