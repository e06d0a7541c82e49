"""The engine that predictions run on: ONNX Runtime on the processor, with no training library in sight."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from brainslice.arrays import InputBatch
from brainslice.errors import BundleError
from brainslice.infer.engine import EngineOutput

INPUT = "scan"
OUTPUTS = ("logits", "class_maps")
_AXES = 4
_SILENT = 4


class OnnxEngine:
    """A graph with one input ``scan`` `(n, h, w, 1)` and the outputs ``logits`` and ``class_maps``."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        """Open a graph.

        Args:
            path: The ``.onnx`` file; its bytes must have been checked before.
            threads: How many threads may share one scan; 0 takes as many as there are cores.

        Raises:
            BundleError: The file is missing, no graph, or not a graph of ours.
        """
        if not path.is_file():
            msg = (
                f"{path}: must be a graph in a file, there is none; copy the bundle again or train a new one"
            )
            raise BundleError(msg)
        self._path = path
        self._session = _open(path, threads)
        fault = _what_is_foreign(self._session)
        if fault:
            msg = f"{path}: {fault}; only graphs that brainslice exported can be used"
            raise BundleError(msg)

    def run(self, batch: InputBatch) -> EngineOutput:
        """Answer for several scans at once; see ``Engine.run``."""
        scans = batch.astype(np.float32)[..., np.newaxis]
        try:
            logits, class_maps = self._session.run(list(OUTPUTS), {INPUT: scans})
        except Exception as error:
            shape = batch.shape
            msg = (
                f"{self._path}: cannot take scans of shape {shape} ({_one_line(error)}); take another bundle"
            )
            raise BundleError(msg) from error
        return EngineOutput(logits=logits, class_maps=class_maps)


def _open(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Faults come back as exceptions; the library need not print them as well.
    options.log_severity_level = _SILENT
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        msg = f"{path}: must be an ONNX graph, got something else ({_one_line(error)}); copy the bundle again"
        raise BundleError(msg) from error


def _what_is_foreign(session: onnxruntime.InferenceSession) -> str:
    inputs = [(node.name, node.type, len(node.shape)) for node in session.get_inputs()]
    expected = [(INPUT, "tensor(float)", _AXES)]
    if inputs != expected:
        return f"the graph's inputs must be {expected}, got {inputs}"
    missing = set(OUTPUTS) - {node.name for node in session.get_outputs()}
    return (
        f"the graph must have the outputs {', '.join(sorted(missing))}, got none of that name"
        if missing
        else ""
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
