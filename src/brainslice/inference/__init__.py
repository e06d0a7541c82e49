"""Prediction on exported graphs, without any training library.

Public names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.inference.decoding import BATCH
    from brainslice.inference.default_bundle import DEFAULT_BUNDLE, open_bundle_or_default
    from brainslice.inference.engines.engine import Engine, EngineOutput
    from brainslice.inference.engines.mc_dropout import with_mc_dropout
    from brainslice.inference.engines.onnx_engine import OnnxEngine
    from brainslice.inference.engines.session import OnnxSession
    from brainslice.inference.engines.test_time_augmentation import with_test_time_augmentation
    from brainslice.inference.heat_map import positive_class_maps, share_on_mask, upsample
    from brainslice.inference.overlay import draw_overlay, draw_page, save_overlay
    from brainslice.inference.prediction import Prediction, Refusal, format_percent
    from brainslice.inference.predictor import Predictor
    from brainslice.inference.verdict_rules import Decision
    from brainslice.inference.volume import NOT_CALIBRATED, VolumePrediction, predict_volume

__all__ = [
    "BATCH",
    "DEFAULT_BUNDLE",
    "NOT_CALIBRATED",
    "Decision",
    "Engine",
    "EngineOutput",
    "OnnxEngine",
    "OnnxSession",
    "Prediction",
    "Predictor",
    "Refusal",
    "VolumePrediction",
    "draw_overlay",
    "draw_page",
    "format_percent",
    "open_bundle_or_default",
    "positive_class_maps",
    "predict_volume",
    "save_overlay",
    "share_on_mask",
    "upsample",
    "with_mc_dropout",
    "with_test_time_augmentation",
]

_HOMES = {
    "decoding": ("BATCH",),
    "default_bundle": ("DEFAULT_BUNDLE", "open_bundle_or_default"),
    "engines.engine": ("Engine", "EngineOutput"),
    "engines.mc_dropout": ("with_mc_dropout",),
    "engines.onnx_engine": ("OnnxEngine",),
    "engines.session": ("OnnxSession",),
    "engines.test_time_augmentation": ("with_test_time_augmentation",),
    "heat_map": ("positive_class_maps", "share_on_mask", "upsample"),
    "overlay": ("draw_overlay", "draw_page", "save_overlay"),
    "prediction": ("Prediction", "Refusal", "format_percent"),
    "predictor": ("Predictor",),
    "verdict_rules": ("Decision",),
    "volume": ("NOT_CALIBRATED", "VolumePrediction", "predict_volume"),
}

__getattr__ = lazy_names(__name__, _HOMES)
