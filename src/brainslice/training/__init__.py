"""Training, cross-validation, ensembles and adaptation: from a manifest to a bundle.

Public names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import brainslice.models  # noqa: F401 - configures TensorFlow before keras is imported
from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.training.adaptation.pipeline import adapt
    from brainslice.training.cross_validation import HEADLINES, CrossValidation, cross_validate
    from brainslice.training.ensemble import EnsembleResult, build_ensemble, train_members
    from brainslice.training.history import Epoch
    from brainslice.training.pipeline import train

__all__ = [
    "HEADLINES",
    "CrossValidation",
    "EnsembleResult",
    "Epoch",
    "adapt",
    "build_ensemble",
    "cross_validate",
    "train",
    "train_members",
]

_HOMES = {
    "adaptation.pipeline": ("adapt",),
    "cross_validation": ("CrossValidation", "HEADLINES", "cross_validate"),
    "ensemble": ("EnsembleResult", "build_ensemble", "train_members"),
    "history": ("Epoch",),
    "pipeline": ("train",),
}

__getattr__ = lazy_names(__name__, _HOMES)
