"""The limits: the bundle's graph in ONNX Runtime and OpenVINO, without reading, checking or deciding anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Settings = dict[str, Any]
Work = Callable[[], int]
Run = Callable[[np.ndarray], object]


def _onnxruntime(settings: Settings) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(settings["bundle"] + "/model.onnx", providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda scans: session.run(None, {name: scans})


def _openvino(settings: Settings, hint: str) -> Run:
    import openvino

    # On processors with bfloat16 OpenVINO would take that by default, which moves probabilities by up to 0.08.
    wanted = {"PERFORMANCE_HINT": hint, "INFERENCE_PRECISION_HINT": "f32"}
    return openvino.Core().compile_model(settings["bundle"] + "/model.onnx", "CPU", wanted)


def _scans(count: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (count, 224, 224, 1)).astype(np.float32)


def cold(settings: Settings) -> Work:
    """Import, open the graph, read one picture with Pillow, run once."""
    from PIL import Image

    def work() -> int:
        scan = Image.open(Path(settings["images"][0])).convert("L").resize((224, 224))
        _onnxruntime(settings)(np.asarray(scan, np.float32)[None, ..., None])
        return 1

    return work


def _warm(run: Run, settings: Settings) -> Work:
    scan = _scans(1)

    def work() -> int:
        for _ in range(settings["few"]):
            run(scan)
        return settings["few"]

    return work


def warm_onnxruntime(settings: Settings) -> Work:
    """Run ready tensors one by one."""
    return _warm(_onnxruntime(settings), settings)


def warm_openvino(settings: Settings) -> Work:
    """Run ready tensors one by one."""
    return _warm(_openvino(settings, "LATENCY"), settings)


def _folder(run: Run, settings: Settings) -> Work:
    scans, count = _scans(32), len(settings["images"])

    def work() -> int:
        for start in range(0, count, 32):
            run(scans[: min(32, count - start)])
        return count

    return work


def folder_onnxruntime(settings: Settings) -> Work:
    """Run ready batches of 32."""
    return _folder(_onnxruntime(settings), settings)


def folder_openvino(settings: Settings) -> Work:
    """Run ready batches of 32."""
    return _folder(_openvino(settings, "THROUGHPUT"), settings)


def one_a_call(settings: Settings) -> Work:
    """Run one ready tensor a call, for as many scans as the service gets."""
    run, scan, count = _onnxruntime(settings), _scans(1), len(settings["images"])

    def work() -> int:
        for _ in range(count):
            run(scan)
        return count

    return work
