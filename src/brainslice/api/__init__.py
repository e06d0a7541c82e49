"""The life cycle of a model as functions: prepare, audit, train, evaluate, calibrate, adapt, predict.

Every path may be a string or a ``Path``. A project is a folder that holds data, models and reports. ``config`` is a
``Config``, a YAML file, or a mapping of keys such as ``{"train.epochs": 3}``; without it ``configs/config.yaml`` of
the project applies, or the defaults. The names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.api.lifecycle import (
        EvaluationResult,
        adapt,
        audit,
        calibrate,
        cross_validate,
        evaluate,
        prepare,
        train,
    )
    from brainslice.api.networks import export_tflite, import_keras
    from brainslice.api.predictions import Predictions, predict_many, predict_tree, predict_volume
    from brainslice.api.reports import measure_robustness, write_report
    from brainslice.api.settings import AnyPath, Settings, read_settings
    from brainslice.api.thresholds import ThresholdSearch, find_threshold, use_operating_point

__all__ = [
    "AnyPath",
    "EvaluationResult",
    "Predictions",
    "Settings",
    "ThresholdSearch",
    "adapt",
    "audit",
    "calibrate",
    "cross_validate",
    "evaluate",
    "export_tflite",
    "find_threshold",
    "import_keras",
    "measure_robustness",
    "predict_many",
    "predict_tree",
    "predict_volume",
    "prepare",
    "read_settings",
    "train",
    "use_operating_point",
    "write_report",
]

MODULES = {
    "lifecycle": "EvaluationResult adapt audit calibrate cross_validate evaluate prepare train",
    "networks": "export_tflite import_keras",
    "predictions": "Predictions predict_many predict_tree predict_volume",
    "reports": "measure_robustness write_report",
    "settings": "AnyPath Settings read_settings",
    "thresholds": "ThresholdSearch find_threshold use_operating_point",
}

__getattr__ = lazy_names(__name__, MODULES)
