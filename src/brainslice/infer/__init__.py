"""A slice becomes a prediction."""

from brainslice.infer.engine import Engine, EngineOutput
from brainslice.infer.heat import share_on_mask
from brainslice.infer.onnx_engine import OnnxEngine
from brainslice.infer.overlay import draw_overlay, draw_page, save_overlay
from brainslice.infer.prediction import Prediction, Refusal, percent
from brainslice.infer.predictor import Predictor

__all__ = [
    "Engine",
    "EngineOutput",
    "OnnxEngine",
    "Prediction",
    "Predictor",
    "Refusal",
    "draw_overlay",
    "draw_page",
    "percent",
    "save_overlay",
    "share_on_mask",
]
