"""Brain-tumour MRI slices classified by a model whose every number can be believed.

The public names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
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
    "Prediction": "inference.prediction",
    "Predictor": "inference.predictor",
    "Recipe": "preprocessing.recipe",
    "Refusal": "inference.prediction",
    "audit_folder": "dataset.audit.audit",
    "predict_tree": "tables.table",
    "read_scan": "scan.read",
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first asked for."""
    if name not in _HOMES:
        msg = f"module 'brainslice' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(f"brainslice.{_HOMES[name]}"), name)
