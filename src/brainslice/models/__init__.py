"""Keras networks, losses, augmentation and export.

Importing the package sets TensorFlow's environment variables before TensorFlow is imported: oneDNN kernels,
deterministic operations, few log messages. Variables set by the user are kept.
"""

from __future__ import annotations

import os

from brainslice.lazy import lazy_names

_MODULES = {
    "adaptation_loss": "AdaptationLoss adaptation_targets tumour_or_healthy",
    "augmentation": "AugmentationConfig reseed train_ready",
    "build": "Network NetworkConfig Stage pooled_features set_trainable",
    "ensemble": "pack_graphs",
    "export": "ParityReport export_frozen_part export_onnx extract_head parity save_network",
    "head": "HEAD",
    "losses": "LossConfig Tensor class_weights mixup one_hot sample_weights",
    "weights": "SHIPPED_WEIGHTS weights_digest",
}

for _name, _value in {
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_DETERMINISTIC_OPS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "GRPC_VERBOSITY": "ERROR",
}.items():
    os.environ.setdefault(_name, _value)

__getattr__ = lazy_names(__name__, _MODULES)
