"""The life cycle of a model as functions: prepare, audit, train, evaluate, calibrate, adapt, predict.

Every path may be a string or a ``Path``. A project is a folder that holds data, models and reports. ``config`` is a
``Config``, a YAML file, or a mapping of keys such as ``{"train.epochs": 3}``; without it ``configs/config.yaml`` of
the project applies, or the defaults. The names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.api.data import audit, download, exclude_overlap, prepare, prepare_external
    from brainslice.api.evaluation import evaluate, lesion_test, measure_robustness, validate, write_report
    from brainslice.api.lifecycle import EnsembleBundle, adapt, calibrate, cross_validate, ensemble, sweep, train
    from brainslice.api.networks import export_tflite, import_keras
    from brainslice.api.predictions import Predictions, predict_many, predict_tree, predict_volume
    from brainslice.api.settings import EVALUATION_LIBRARIES, TRAINING_LIBRARIES, read_settings
    from brainslice.api.thresholds import ThresholdSearch, find_threshold, use_operating_point

__getattr__ = lazy_names(__name__)
