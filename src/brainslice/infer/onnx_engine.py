"""The engine that predictions run on: ONNX Runtime on the processor, with no training library in sight."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from brainslice.arrays import InputBatch
from brainslice.errors import BundleError
from brainslice.infer.engine import EngineOutput
from brainslice.infer.graph import Graph

INPUT: Final = "scan"
"""The name of the one input, grey values of 0 to 255 ``(n, h, w, 1)``."""

OUTPUTS: Final = ("logits", "class_maps")
"""The names of the outputs that a prediction needs."""

_AXES: Final = 4
_REMEDY: Final = "only graphs that brainslice exported can be used"


class OnnxEngine:
    """A graph with the input ``scan`` `(n, h, w, 1)` and the outputs ``logits`` and ``class_maps``."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        """Open a graph.

        Args:
            path: The ``.onnx`` file; its bytes must have been checked before.
            threads: How many threads may share one scan; 0 takes as many as there are cores.

        Raises:
            BundleError: The file is missing, no graph, or not a graph of ours.
        """
        self._graph = Graph(path, threads)
        fault = _what_is_foreign(self._graph)
        if fault:
            msg = f"{path}: {fault}; {_REMEDY}"
            raise BundleError(msg)

    def run(self, batch: InputBatch) -> EngineOutput:
        """Answer for several scans at once; see ``Engine.run``."""
        logits, class_maps = self._graph.run(batch.astype(np.float32)[..., np.newaxis], OUTPUTS)
        if not _fit(len(batch), logits.shape, class_maps.shape):
            got = f"{logits.shape} and {class_maps.shape}"
            fault = f"logits must be (n, k) and class maps (n, mh, mw, k), got {got}"
            msg = f"{self._graph.path}: {fault}; {_REMEDY}"
            raise BundleError(msg)
        return EngineOutput(logits=logits, class_maps=class_maps)


def _what_is_foreign(graph: Graph) -> str:
    if (graph.input_name, graph.input_axes) != (INPUT, _AXES):
        got = f"{graph.input_name!r} with {graph.input_axes}"
        return f"the graph's input must be {INPUT!r} with {_AXES} axes, got {got}"
    missing = sorted(set(OUTPUTS) - set(graph.output_names))
    return f"the graph must have the outputs {', '.join(OUTPUTS)}, got {list(graph.output_names)}" if missing else ""


def _fit(scans: int, logits: tuple[int, ...], class_maps: tuple[int, ...]) -> bool:
    return len(class_maps) == _AXES and logits == (scans, class_maps[-1]) and class_maps[0] == scans
