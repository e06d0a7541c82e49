"""Run exported networks with ONNX Runtime on the CPU."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np

from brainslice.array_types import Float32
from brainslice.arrays import InputBatch
from brainslice.errors import BundleError
from brainslice.inference.engines.engine import EngineOutput
from brainslice.inference.engines.graph_check import check_graph

# ONNX Runtime reports usage and stores a machine identifier in the home folder, unless disabled before its import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

INPUT: Final = "scan"
"""The name of the input, grey values of 0 to 255 ``(n, h, w, 1)``."""

OUTPUTS: Final = ("logits", "class_maps")
"""The names of the required outputs."""

FEATURES: Final = "features"
"""The output of feature means; graphs of older bundles lack it."""

FEATURE_MAPS: Final = "feature_maps"
"""The output of the pyramid head's features at every position."""

MEMBER_LOGITS: Final = "member_logits"
"""The output of an ensemble's member logits."""

_AXES: Final = 4
_LARGEST_PART: Final = 8
_FATAL_ONLY: Final = 4
_REMEDY: Final = "only graphs that brainslice exported can be used"


class OnnxSession:
    """A graph with one float32 input.

    One to three items are run by all threads together. A larger batch is divided, and each part is run by one thread,
    so that no thread waits for another. A call that finds others running uses its own thread only.

    Attributes:
        path: The file.
        input_name: The name of the input.
        input_axes: The number of axes of the input.
        output_names: The names of the outputs.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        """Open a graph.

        Args:
            path: The ``.onnx`` file.
            threads: The number of threads; 0 for one each core.

        Raises:
            BundleError: The file is missing, no graph, or a graph with other inputs.
        """
        if not path.is_file():
            msg = f"{path}: must be a graph in a file, there is none; copy the bundle again or train a new one"
            raise BundleError(msg)
        self.path = path
        self._threads = threads or os.cpu_count() or 1
        self._lock = Lock()
        self._running = 0
        self._file = _identity(path)
        check_graph(path.read_bytes(), path)
        # From the file and not from its bytes, which ONNX Runtime would keep.
        self._session = self._open(threads)
        if _identity(path) != self._file:
            msg = f"{path}: was replaced while it was opened; open the bundle again"
            raise BundleError(msg)
        self._single_threaded = self._session if self._threads == 1 else None
        inputs = [(node.name, node.type, len(node.shape)) for node in self._session.get_inputs()]
        if len(inputs) != 1 or inputs[0][1] != "tensor(float)":
            msg = f"{path}: the graph must have one input of 32-bit floats, got {inputs}; export it again"
            raise BundleError(msg)
        self.input_name, _, self.input_axes = inputs[0]
        self.output_names = tuple(node.name for node in self._session.get_outputs())

    def run(self, batch: Float32[np.ndarray, "n ..."], outputs: Sequence[str] | None = None) -> list[np.ndarray]:
        """Run the graph and return the named outputs, or all in the graph's order.

        Raises:
            BundleError: The shape of the input does not fit.
        """
        names = list(self.output_names if outputs is None else outputs)
        with self._lock:
            threads = 1 if self._running else self._threads
            self._running += 1
        # No part of one item: its last bits would differ from those of the same item in a batch.
        parts = max(1, min(len(batch) // 2, max(threads, -(-len(batch) // _LARGEST_PART))))
        try:
            if parts == 1 and threads == self._threads:
                return list(self._session.run(names, {self.input_name: batch}))
            session, divided = self.open_single_threaded(), np.array_split(batch, parts)
            with ThreadPoolExecutor(min(parts, threads)) as pool:
                each = map if threads == 1 else pool.map
                done = each(lambda part: session.run(names, {self.input_name: part}), divided)
                return [np.concatenate(arrays) for arrays in zip(*done, strict=True)]
        except Exception as error:
            fault = f"cannot take an input of shape {batch.shape} ({_one_line(error)})"
            msg = f"{self.path}: {fault}; use another bundle or export the graph again"
            raise BundleError(msg) from error
        finally:
            with self._lock:
                self._running -= 1

    def open_single_threaded(self) -> onnxruntime.InferenceSession:
        """Return the session with one thread, opened on first use; the first session if the file is another by then."""
        with self._lock:
            if self._single_threaded is None:
                self._single_threaded = self._open(1) if _identity(self.path) == self._file else self._session
            return self._single_threaded

    def _open(self, threads: int) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Threads that wait for the next run in a loop would take the cores from decoding and from other sessions.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        # Errors are raised as exceptions and need not be printed as well.
        options.log_severity_level = _FATAL_ONLY
        try:
            return onnxruntime.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            msg = f"{self.path}: must be an ONNX graph, got something else ({_one_line(error)}); copy the bundle again"
            raise BundleError(msg) from error


class OnnxEngine:
    """An engine on an ONNX graph from ``scan`` to ``logits``, ``class_maps`` and, if new enough, ``features``."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        """Open a graph.

        Args:
            path: The ``.onnx`` file, whose hash was verified.
            threads: The number of threads; 0 for one each core.

        Raises:
            BundleError: The file is missing, no graph, or not a graph exported by brainslice.
        """
        self._session = OnnxSession(path, threads)
        fault = _graph_fault(self._session)
        if fault:
            msg = f"{path}: {fault}; {_REMEDY}"
            raise BundleError(msg)
        optional = [name for name in (FEATURES, MEMBER_LOGITS) if name in self._session.output_names]
        self._output_names = [*OUTPUTS, *optional]

    def with_feature_maps(self) -> OnnxEngine:
        """Return an engine on the same session that also returns the features at every position.

        Raises:
            BundleError: The graph has no such output.
        """
        if FEATURE_MAPS not in self._session.output_names:
            msg = f"{self._session.path}: the graph must have the output {FEATURE_MAPS}; {_REMEDY}"
            raise BundleError(msg)
        other = copy(self)
        other._output_names = [*self._output_names, FEATURE_MAPS]  # noqa: SLF001 - a copy of this object
        return other

    def run(self, batch: InputBatch) -> EngineOutput:
        """Run the network on a batch; see ``Engine.run``."""
        arrays = self._session.run(batch.astype(np.float32)[..., np.newaxis], self._output_names)
        outputs = dict(zip(self._output_names, arrays, strict=True))
        outputs.setdefault(FEATURES, np.zeros((len(batch), 0), dtype=np.float32))
        fault = _shape_fault(len(batch), {name: array.shape for name, array in outputs.items()})
        if fault:
            msg = f"{self._session.path}: {fault}; {_REMEDY}"
            raise BundleError(msg)
        return EngineOutput(**outputs)


def _identity(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file is replaced; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _graph_fault(session: OnnxSession) -> str:
    if (session.input_name, session.input_axes) != (INPUT, _AXES):
        got = f"{session.input_name!r} with {session.input_axes}"
        return f"the graph's input must be {INPUT!r} with {_AXES} axes, got {got}"
    missing = sorted(set(OUTPUTS) - set(session.output_names))
    return f"the graph must have the outputs {', '.join(OUTPUTS)}, got {list(session.output_names)}" if missing else ""


def _shape_fault(scans: int, shapes: Mapping[str, tuple[int, ...]]) -> str:
    logits, class_maps, features = shapes["logits"], shapes["class_maps"], shapes[FEATURES]
    if not (len(class_maps) == _AXES and logits == (scans, class_maps[-1]) and class_maps[0] == scans):
        return f"logits must be (n, k) and class maps (n, mh, mw, k), got {logits} and {class_maps}"
    if features != (scans, *features[1:2]):
        return f"features must be (n, f), got {features}"
    members = shapes.get(MEMBER_LOGITS)
    if members is not None and members != (scans, *members[1:2], *logits[1:]):
        return f"member logits must be (n, m, k), got {members}"
    return ""
