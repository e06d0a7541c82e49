"""Prediction on exported graphs, without any training library; public names are loaded on first use."""

from __future__ import annotations

from brainslice.lazy import lazy_names

_MODULES = {
    "decoding": "BATCH",
    "default_bundle": "DEFAULT_BUNDLE open_bundle_or_default",
    "engines.engine": "Engine EngineOutput",
    "engines.mc_dropout": "with_mc_dropout",
    "engines.onnx_engine": "OnnxEngine OnnxSession",
    "engines.test_time_augmentation": "with_test_time_augmentation",
    "heat_map": "positive_class_maps share_on_mask upsample",
    "overlay": "draw_overlay draw_page save_overlay",
    "prediction": "Prediction Refusal format_percent",
    "predictor": "Predictor",
    "verdict_rules": "Decision",
    "volume": "NOT_CALIBRATED VolumePrediction predict_volume",
}

__getattr__ = lazy_names(__name__, _MODULES)
