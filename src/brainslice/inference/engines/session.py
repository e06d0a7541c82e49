"""An exported graph in ONNX Runtime on the processor: arrays in, arrays out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from brainslice.errors import BundleError

# Unless told otherwise before it is loaded, ONNX Runtime reports its use to its maker and keeps an identifier of
# the machine below the home folder. What looks at scans does neither.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

_SILENT = 4


class OnnxSession:
    """A graph with one input of 32-bit floats.

    Attributes:
        path: The file it was read from.
        input_name: What its input is called.
        input_axes: How many axes the input has, the first counting scans.
        output_names: What its outputs are called, in their order.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        """Open a graph.

        Args:
            path: The ``.onnx`` file. Only open files of your own making, or whose bytes were checked.
            threads: How many threads may share the work; 0 takes as many as there are cores.

        Raises:
            BundleError: The file is missing, no graph, or a graph with other inputs.
        """
        if not path.is_file():
            msg = f"{path}: must be a graph in a file, there is none; copy the bundle again or train a new one"
            raise BundleError(msg)
        self.path = path
        self._session = _open(path, threads)
        inputs = [(node.name, node.type, len(node.shape)) for node in self._session.get_inputs()]
        if len(inputs) != 1 or inputs[0][1] != "tensor(float)":
            msg = f"{path}: the graph must have one input of 32-bit floats, got {inputs}; export it again"
            raise BundleError(msg)
        self.input_name, _, self.input_axes = inputs[0]
        self.output_names = tuple(node.name for node in self._session.get_outputs())

    def run(self, batch: Float32[np.ndarray, "n ..."], outputs: Sequence[str] | None = None) -> list[np.ndarray]:
        """Run the graph once.

        Args:
            batch: The input.
            outputs: The names of the outputs wanted; all of them, in the graph's order, unless told.

        Returns:
            An array for each output wanted.

        Raises:
            BundleError: The graph cannot take this input.
        """
        names = list(self.output_names if outputs is None else outputs)
        try:
            return list(self._session.run(names, {self.input_name: batch}))
        except Exception as error:
            fault = f"cannot take an input of shape {batch.shape} ({_one_line(error)})"
            msg = f"{self.path}: {fault}; take another bundle or export the graph again"
            raise BundleError(msg) from error


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


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
