"""Classification of brain-tumour MRI slices, for research only.

The public names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.api import (
        Predictions,
        adapt,
        audit,
        calibrate,
        cross_validate,
        download,
        ensemble,
        evaluate,
        exclude_overlap,
        export_tflite,
        find_threshold,
        import_keras,
        lesion_test,
        measure_robustness,
        predict_many,
        predict_tree,
        predict_volume,
        prepare,
        prepare_external,
        read_settings,
        sweep,
        train,
        use_operating_point,
        validate,
        write_report,
    )
    from brainslice.config import Config
    from brainslice.errors import BrainsliceError
    from brainslice.inference import Prediction, Predictor, Refusal
    from brainslice.labels import LabelSet
    from brainslice.preprocessing import Recipe
    from brainslice.scan import read_scan

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

__getattr__ = lazy_names(__name__)


def __dir__() -> list[str]:
    """List the public names, for tab completion."""
    return __all__
