"""The loss of adaptation to a site whose labels are tumour or healthy, without tumour type."""

from __future__ import annotations

import keras
import numpy as np

from brainslice.array_types import Float32
from brainslice.arrays import Decisions
from brainslice.errors import ConfigError
from brainslice.models.losses import Tensor

_EXCLUDED = -1e9
"""Added to the logit of an excluded class; exp of it is 0."""


@keras.saving.register_keras_serializable(package="brainslice")
class AdaptationLoss(keras.losses.Loss):
    """Negative marginal likelihood of a set of classes, plus distillation from the original network.

    A label allows a set ``S`` of classes: one class, or all tumours. The loss is ``-log Σ_S p = log Σ exp z - log Σ_S
    exp z``, which is cross-entropy for one class. Added is ``w·T²·KL(q ‖ p)`` between the softmax of the original
    logits (``q``) and the new ones (``p``) at the temperature ``T`` within a second set of classes: all of them for
    source scans, the tumours alone for scans of the new site.

    Reference:
        Cour et al., Learning from Partial Labels, JMLR 2011; Hinton et al., Distilling the Knowledge in a Neural
        Network, 2015; Li and Hoiem, Learning without Forgetting, 2016.
    """

    def __init__(self, distillation: float = 1.0, temperature: float = 2.0, **kwargs: object) -> None:
        """Set the weight ``w`` of the distillation and its temperature ``T``.

        Raises:
            ConfigError: The weight is below 0, or the temperature not above it.
        """
        super().__init__(**kwargs)
        if distillation < 0 or temperature <= 0:
            msg = f"distillation must be at least 0 and its temperature above 0, got {distillation} and {temperature}"
            raise ConfigError(msg)
        self.distillation = distillation
        self.temperature = temperature

    def call(self, targets: Tensor, logits: Tensor) -> Tensor:
        """Compute the loss of each scan.

        Returns:
            The losses ``(n,)``, in nats.
        """
        logits = keras.ops.cast(logits, "float32")
        allowed, teacher, kept = targets[:, 0], targets[:, 1], targets[:, 2]
        marginal = keras.ops.logsumexp(logits, axis=-1) - keras.ops.logsumexp(_within(logits, allowed), axis=-1)
        original = keras.ops.log_softmax(_within(teacher / self.temperature, kept), axis=-1)
        current = keras.ops.log_softmax(_within(logits / self.temperature, kept), axis=-1)
        divergence = keras.ops.sum(kept * keras.ops.exp(original) * (original - current), axis=-1)
        return marginal + self.distillation * self.temperature**2 * divergence

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "distillation": self.distillation, "temperature": self.temperature}


def tumour_or_healthy(tumours: Decisions, healthy: int, classes: int) -> Float32[np.ndarray, "n k"]:
    """Return the allowed classes of each scan as ones: the healthy class, or all others."""
    of_healthy = np.eye(classes, dtype=np.float32)[healthy]
    allowed: Float32[np.ndarray, "n k"] = np.where(tumours[:, None], 1 - of_healthy, of_healthy).astype(np.float32)
    return allowed


def adaptation_targets(
    allowed: Float32[np.ndarray, "n k"], teacher: Float32[np.ndarray, "n k"], kept: Float32[np.ndarray, "n k"]
) -> Float32[np.ndarray, "n 3 k"]:
    """Stack the targets of ``AdaptationLoss``.

    Args:
        allowed: Ones for the classes that the label allows; at least one a scan.
        teacher: The logits of the original network.
        kept: Ones for the classes of the distillation; all zeros for none.
    """
    return np.stack([allowed, teacher, kept], axis=1)


def _within(logits: Tensor, classes: Tensor) -> Tensor:
    return logits + (1 - keras.ops.cast(classes, "float32")) * _EXCLUDED
