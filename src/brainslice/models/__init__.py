"""The network. Keras is imported here and in ``train``, nowhere else.

What TensorFlow has to know before it is imported is said here, whichever door led to it: use the fast kernels, give the
same numbers every time, and keep the chatter from the screen. What the user has set stays.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.models.adaptation_loss import AdaptationLoss, adaptation_targets, tumour_or_healthy
    from brainslice.models.augmentation import AugmentationConfig, reseed, train_ready
    from brainslice.models.build import Network, NetworkConfig, Stage, pooled_features, set_trainable
    from brainslice.models.ensemble import pack_graphs
    from brainslice.models.export import (
        ParityReport,
        export_frozen_part,
        export_onnx,
        extract_head,
        parity,
        save_network,
    )
    from brainslice.models.head import HEAD
    from brainslice.models.losses import LossConfig, Tensor, class_weights, mixup, one_hot, sample_weights
    from brainslice.models.weights import SHIPPED_WEIGHTS, weights_digest

__all__ = [
    "HEAD",
    "SHIPPED_WEIGHTS",
    "AdaptationLoss",
    "AugmentationConfig",
    "LossConfig",
    "Network",
    "NetworkConfig",
    "ParityReport",
    "Stage",
    "Tensor",
    "adaptation_targets",
    "class_weights",
    "export_frozen_part",
    "export_onnx",
    "extract_head",
    "mixup",
    "one_hot",
    "pack_graphs",
    "parity",
    "pooled_features",
    "reseed",
    "sample_weights",
    "save_network",
    "set_trainable",
    "train_ready",
    "tumour_or_healthy",
    "weights_digest",
]

_HOMES = {
    "adaptation_loss": ("AdaptationLoss", "adaptation_targets", "tumour_or_healthy"),
    "augmentation": ("AugmentationConfig", "reseed", "train_ready"),
    "build": ("Network", "NetworkConfig", "Stage", "pooled_features", "set_trainable"),
    "ensemble": ("pack_graphs",),
    "export": ("ParityReport", "export_frozen_part", "export_onnx", "extract_head", "parity", "save_network"),
    "head": ("HEAD",),
    "losses": ("LossConfig", "Tensor", "class_weights", "mixup", "one_hot", "sample_weights"),
    "weights": ("SHIPPED_WEIGHTS", "weights_digest"),
}

for _name, _value in {
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_DETERMINISTIC_OPS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "GRPC_VERBOSITY": "ERROR",
}.items():
    os.environ.setdefault(_name, _value)

__getattr__ = lazy_names(__name__, _HOMES)
