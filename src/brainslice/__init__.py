"""Brain-tumour MRI slices classified by a model whose every number can be believed.

The public names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from brainslice.cohort.audit import audit_folder
    from brainslice.errors import BrainsliceError
    from brainslice.infer.prediction import Prediction, Refusal
    from brainslice.infer.predictor import Predictor
    from brainslice.labels import LabelSet
    from brainslice.prepare.recipe import Recipe
    from brainslice.rows.table import predict_tree
    from brainslice.scan.read import read_scan

__version__: Final = "0.1.0"

__all__ = [
    "BrainsliceError",
    "LabelSet",
    "Prediction",
    "Predictor",
    "Recipe",
    "Refusal",
    "__version__",
    "audit_folder",
    "predict_tree",
    "read_scan",
]

_HOMES = {
    "BrainsliceError": "errors",
    "LabelSet": "labels",
    "Prediction": "infer.prediction",
    "Predictor": "infer.predictor",
    "Recipe": "prepare.recipe",
    "Refusal": "infer.prediction",
    "audit_folder": "cohort.audit",
    "predict_tree": "rows.table",
    "read_scan": "scan.read",
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first asked for."""
    if name not in _HOMES:
        msg = f"module 'brainslice' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(f"brainslice.{_HOMES[name]}"), name)
