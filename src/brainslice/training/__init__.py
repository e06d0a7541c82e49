"""Training, cross-validation, ensembles and adaptation; public names are loaded on first use."""

from __future__ import annotations

import brainslice.models  # noqa: F401 - configures TensorFlow before keras is imported
from brainslice.lazy import lazy_names

_MODULES = {
    "adaptation.pipeline": "adapt",
    "cross_validation": "HEADLINES CrossValidation cross_validate",
    "ensemble": "EnsembleResult build_ensemble train_members",
    "history": "Epoch",
    "pipeline": "train",
}

__getattr__ = lazy_names(__name__, _MODULES)
