"""Training, cross-validation, ensembles and adaptation; public names are loaded on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import brainslice.models  # configures TensorFlow before keras is imported
from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.training.adaptation.pipeline import AdaptationResult, adapt
    from brainslice.training.batches import BatchSequence, Shuffle, TrainingData
    from brainslice.training.bundle import BundleResult
    from brainslice.training.cross_validation import HEADLINES, CrossValidation, cross_validate
    from brainslice.training.ensemble import build_ensemble, train_members
    from brainslice.training.history import Epoch
    from brainslice.training.imported import ImportOptions, import_network
    from brainslice.training.pipeline import TrainingResult, fit_network, train
    from brainslice.training.recipes.feature_cache import FrozenPart, fast_frozen_part
    from brainslice.training.search_space import parse_space, read_space
    from brainslice.training.stage import StageConfig, compile_model
    from brainslice.training.sweep import Sweep, SweepOptions, run_sweep
    from brainslice.training.tflite import export_tflite
    from brainslice.training.tracking import TrackedRun, track

__getattr__ = lazy_names(__name__)
