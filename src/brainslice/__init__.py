"""Classification of brain-tumour MRI slices, for research only.

The public names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.api.data import audit, download, exclude_overlap, prepare, prepare_external
    from brainslice.api.evaluation import evaluate, lesion_test, measure_robustness, validate, write_report
    from brainslice.api.lifecycle import adapt, calibrate, cross_validate, ensemble, sweep, train
    from brainslice.api.networks import export_tflite, import_keras
    from brainslice.api.predictions import Predictions, predict_many, predict_tree, predict_volume
    from brainslice.api.settings import read_settings
    from brainslice.api.thresholds import find_threshold, use_operating_point
    from brainslice.config import Config
    from brainslice.errors import BrainsliceError
    from brainslice.inference.prediction import Prediction, Refusal
    from brainslice.inference.predictor import Predictor
    from brainslice.labels import LabelSet
    from brainslice.preprocessing.recipe import Recipe
    from brainslice.scan.read import read_scan

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
    "calibrate",
    "cross_validate",
    "download",
    "ensemble",
    "evaluate",
    "exclude_overlap",
    "export_tflite",
    "find_threshold",
    "import_keras",
    "lesion_test",
    "measure_robustness",
    "predict_many",
    "predict_tree",
    "predict_volume",
    "prepare",
    "prepare_external",
    "read_scan",
    "read_settings",
    "sweep",
    "train",
    "use_operating_point",
    "validate",
    "write_report",
]

_MODULES = {
    "api.data": "audit download exclude_overlap prepare prepare_external",
    "api.evaluation": "evaluate lesion_test measure_robustness validate write_report",
    "api.lifecycle": "adapt calibrate cross_validate ensemble sweep train",
    "api.networks": "export_tflite import_keras",
    "api.predictions": "Predictions predict_many predict_tree predict_volume",
    "api.settings": "read_settings",
    "api.thresholds": "find_threshold use_operating_point",
    "config": "Config",
    "errors": "BrainsliceError",
    "inference.prediction": "Prediction Refusal",
    "inference.predictor": "Predictor",
    "labels": "LabelSet",
    "preprocessing.recipe": "Recipe",
    "scan.read": "read_scan",
}

__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    """List the public names, for tab completion."""
    return __all__
