"""Classification of brain-tumour MRI slices, for research only.

The public names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.api.lifecycle import adapt, audit, calibrate, cross_validate, evaluate, prepare, train
    from brainslice.api.predictions import Predictions, predict_many, predict_volume
    from brainslice.api.thresholds import find_threshold, use_operating_point
    from brainslice.config import Config, read_config
    from brainslice.dataset.audit.audit import audit_folder
    from brainslice.errors import BrainsliceError
    from brainslice.inference.prediction import Prediction, Refusal
    from brainslice.inference.predictor import Predictor
    from brainslice.labels import LabelSet
    from brainslice.preprocessing.recipe import Recipe
    from brainslice.scan.read import read_scan
    from brainslice.tables.table import predict_tree

__version__: Final = "0.1.0"

__all__ = [
    "BrainsliceError",
    "Config",
    "LabelSet",
    "Prediction",
    "Predictions",
    "Predictor",
    "Recipe",
    "Refusal",
    "__version__",
    "adapt",
    "audit",
    "audit_folder",
    "calibrate",
    "cross_validate",
    "evaluate",
    "find_threshold",
    "predict_many",
    "predict_tree",
    "predict_volume",
    "prepare",
    "read_config",
    "read_scan",
    "train",
    "use_operating_point",
]

_MODULES = {
    "api.lifecycle": ("adapt", "audit", "calibrate", "cross_validate", "evaluate", "prepare", "train"),
    "api.predictions": ("Predictions", "predict_many", "predict_volume"),
    "api.thresholds": ("find_threshold", "use_operating_point"),
    "config": ("Config", "read_config"),
    "dataset.audit.audit": ("audit_folder",),
    "errors": ("BrainsliceError",),
    "inference.prediction": ("Prediction", "Refusal"),
    "inference.predictor": ("Predictor",),
    "labels": ("LabelSet",),
    "preprocessing.recipe": ("Recipe",),
    "scan.read": ("read_scan",),
    "tables.table": ("predict_tree",),
}

__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    """List the public names, for tab completion."""
    return __all__
