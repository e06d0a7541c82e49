"""Prediction on exported graphs, without any training library; public names are loaded on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.inference.decoding import BATCH, ScanSource, decode_batches, read_source
    from brainslice.inference.default_bundle import DEFAULT_BUNDLE, open_bundle_or_default
    from brainslice.inference.engines.engine import Engine, EngineOutput
    from brainslice.inference.engines.mc_dropout import with_mc_dropout
    from brainslice.inference.engines.onnx_engine import OnnxEngine, OnnxSession
    from brainslice.inference.engines.test_time_augmentation import VIEWS, with_test_time_augmentation
    from brainslice.inference.heat_map import positive_class_maps, share_on_mask, upsample
    from brainslice.inference.overlay import RESEARCH_ONLY, draw_overlay, draw_page, encode_png, save_overlay
    from brainslice.inference.prediction import Prediction, Refusal, format_percent
    from brainslice.inference.predictor import Predictor
    from brainslice.inference.volume import NOT_CALIBRATED, VolumePrediction, predict_volume

__getattr__ = lazy_names(__name__)
