"""Keras networks, losses, augmentation and export.

Importing the package sets environment variables before TensorFlow is imported: oneDNN kernels, deterministic
operations, few log messages, ONNX export without copies. Variables set by the user are kept.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.models.adaptation_loss import AdaptationLoss, adaptation_targets, tumour_or_healthy
    from brainslice.models.augmentation import (
        AugmentationConfig,
        augmentation_layers,
        reseed,
        train_ready,
        with_positions,
    )
    from brainslice.models.build import (
        Network,
        NetworkConfig,
        Stage,
        build_network,
        pooled_features,
        set_trainable,
        with_contralateral,
    )
    from brainslice.models.ensemble import pack_graphs
    from brainslice.models.export import export_frozen_part, export_onnx, extract_head, parity, save_network
    from brainslice.models.gradcam import compute_gradcam
    from brainslice.models.half_precision import to_float16
    from brainslice.models.head import HEAD
    from brainslice.models.imported import load_keras_file, read_classifier
    from brainslice.models.losses import LossConfig, PositionLoss, Tensor, class_weights, mixup, one_hot, sample_weights
    from brainslice.models.second_size import add_second_size
    from brainslice.models.weights import SHIPPED_WEIGHTS, weights_digest


for _name, _value in {
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_DETERMINISTIC_OPS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "GRPC_VERBOSITY": "ERROR",
    # Otherwise tf2onnx copies the graph before each of its optimizers, which takes a fifth of an export.
    "TF2ONNX_CATCH_ERRORS": "false",
}.items():
    os.environ.setdefault(_name, _value)

__getattr__ = lazy_names(__name__)
