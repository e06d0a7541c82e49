"""What every test shares: shape checks at run time, and the real scans beside the project."""

from __future__ import annotations

import os
from pathlib import Path

# Before any import of TensorFlow: quiet, deterministic, and on the CPU.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

install_import_hook("brainslice", "beartype.beartype")

settings.register_profile("house", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def real_scans() -> Path:
    """The folder of real scans that lies beside the project on the machines that have it."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("needs the real scans of ../shared/data, which are not here")
    return folder


@pytest.fixture(scope="session")
def imagenet_weights() -> Path:
    """Real pretrained weights of EfficientNetV2-B0."""
    path = SHARED / "weights" / "efficientnetv2-b0_notop.weights.h5"
    if not path.is_file():
        pytest.skip("needs the pretrained weights of ../shared/weights, which are not here")
    return path
