"""The engine that predictions run on: ONNX Runtime on the processor, with no training library in sight."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Final

import numpy as np

from brainslice.arrays import InputBatch
from brainslice.errors import BundleError
from brainslice.inference.engines.engine import EngineOutput
from brainslice.inference.engines.session import OnnxSession

INPUT: Final = "scan"
"""The name of the one input, grey values of 0 to 255 ``(n, h, w, 1)``."""

OUTPUTS: Final = ("logits", "class_maps")
"""The names of the outputs that a prediction needs."""

FEATURES: Final = "features"
"""The output with what the head sees; graphs of older bundles lack it."""

FEATURE_MAPS: Final = "feature_maps"
"""The output of the pyramid head's features at every position."""

MEMBER_LOGITS: Final = "member_logits"
"""The output that ensembles have besides: the logits of each member."""

_AXES: Final = 4
_REMEDY: Final = "only graphs that brainslice exported can be used"


class OnnxEngine:
    """A graph from ``scan`` `(n, h, w, 1)` to ``logits`` and ``class_maps`` and, if new enough, ``features``."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        """Open a graph.

        Args:
            path: The ``.onnx`` file; its bytes must have been checked before.
            threads: How many threads may share one scan; 0 takes as many as there are cores.

        Raises:
            BundleError: The file is missing, no graph, or not a graph of ours.
        """
        self._graph = OnnxSession(path, threads)
        fault = _what_is_foreign(self._graph)
        if fault:
            msg = f"{path}: {fault}; {_REMEDY}"
            raise BundleError(msg)
        self._wanted = [*OUTPUTS, *(name for name in (FEATURES, MEMBER_LOGITS) if name in self._graph.output_names)]

    def with_feature_maps(self) -> OnnxEngine:
        """Give an engine on the same session that also returns the features at every position.

        Raises:
            BundleError: The graph has no such output.
        """
        if FEATURE_MAPS not in self._graph.output_names:
            msg = f"{self._graph.path}: the graph must have the output {FEATURE_MAPS}; {_REMEDY}"
            raise BundleError(msg)
        other = copy(self)
        other.__dict__["_wanted"] = [*self._wanted, FEATURE_MAPS]
        return other

    def run(self, batch: InputBatch) -> EngineOutput:
        """Answer for several scans at once; see ``Engine.run``."""
        found = self._graph.run(batch.astype(np.float32)[..., np.newaxis], self._wanted)
        outputs = dict(zip(self._wanted, found, strict=True))
        outputs.setdefault(FEATURES, np.zeros((len(batch), 0), dtype=np.float32))
        fault = _what_does_not_fit(len(batch), {name: array.shape for name, array in outputs.items()})
        if fault:
            msg = f"{self._graph.path}: {fault}; {_REMEDY}"
            raise BundleError(msg)
        return EngineOutput(**outputs)


def _what_is_foreign(graph: OnnxSession) -> str:
    if (graph.input_name, graph.input_axes) != (INPUT, _AXES):
        got = f"{graph.input_name!r} with {graph.input_axes}"
        return f"the graph's input must be {INPUT!r} with {_AXES} axes, got {got}"
    missing = sorted(set(OUTPUTS) - set(graph.output_names))
    return f"the graph must have the outputs {', '.join(OUTPUTS)}, got {list(graph.output_names)}" if missing else ""


def _what_does_not_fit(scans: int, shapes: Mapping[str, tuple[int, ...]]) -> str:
    logits, class_maps, features = shapes["logits"], shapes["class_maps"], shapes[FEATURES]
    if not (len(class_maps) == _AXES and logits == (scans, class_maps[-1]) and class_maps[0] == scans):
        return f"logits must be (n, k) and class maps (n, mh, mw, k), got {logits} and {class_maps}"
    if features != (scans, *features[1:2]):
        return f"features must be (n, f), got {features}"
    members = shapes.get(MEMBER_LOGITS)
    if members is not None and members != (scans, *members[1:2], *logits[1:]):
        return f"member logits must be (n, m, k), got {members}"
    return ""
