"""What a network minimises at another site, where a label says tumour or healthy and not which tumour."""

from __future__ import annotations

import keras
import numpy as np
from jaxtyping import Float32

from brainslice.arrays import Decisions
from brainslice.errors import ConfigError
from brainslice.models.losses import Tensor

_NEVER = -1e9
"""What is added to the logit of a class that cannot be; exp of it is 0."""


@keras.saving.register_keras_serializable(package="brainslice")
class AdaptationLoss(keras.losses.Loss):
    """The marginal likelihood of a set of classes, and distillation from the network as it was.

    A label allows a set ``S`` of classes: the one class of a scan whose class is known, all tumours where it is only
    known to be one. The loss is ``-log Σ_S p = log Σ exp z - log Σ_S exp z``, cross-entropy where ``S`` is one
    class. To it comes ``w·T²·KL(q ‖ p)`` between the softmax of the earlier network's logits (``q``) and of the new
    ones (``p``), both at the temperature ``T`` and both within a second set of classes: all of them for scans the
    earlier network knows, the tumours alone where it may err about tumour or healthy but not about the type.

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
        """Give one loss a scan.

        Args:
            targets: ``(n, 3, k)``, as ``adaptation_targets`` makes them.
            logits: Raw scores ``(n, k)``.

        Returns:
            The losses ``(n,)``, in nats.
        """
        logits = keras.ops.cast(logits, "float32")
        allowed, teacher, kept = targets[:, 0], targets[:, 1], targets[:, 2]
        marginal = keras.ops.logsumexp(logits, axis=-1) - keras.ops.logsumexp(_within(logits, allowed), axis=-1)
        wanted = keras.ops.log_softmax(_within(teacher / self.temperature, kept), axis=-1)
        found = keras.ops.log_softmax(_within(logits / self.temperature, kept), axis=-1)
        divergence = keras.ops.sum(kept * keras.ops.exp(wanted) * (wanted - found), axis=-1)
        return marginal + self.distillation * self.temperature**2 * divergence

    def get_config(self) -> dict[str, object]:
        """Give what is needed to make the same loss again."""
        return {**super().get_config(), "distillation": self.distillation, "temperature": self.temperature}


def tumour_or_healthy(tumours: Decisions, healthy: int, classes: int) -> Float32[np.ndarray, "n k"]:
    """Allow each scan the classes that its label leaves open: the healthy one, or all the others.

    Args:
        tumours: Whether each scan is a tumour ``(n,)``.
        healthy: The place of the healthy class.
        classes: How many classes there are.
    """
    of_healthy = np.eye(classes, dtype=np.float32)[healthy]
    allowed: Float32[np.ndarray, "n k"] = np.where(tumours[:, None], 1 - of_healthy, of_healthy).astype(np.float32)
    return allowed


def adaptation_targets(
    allowed: Float32[np.ndarray, "n k"], teacher: Float32[np.ndarray, "n k"], kept: Float32[np.ndarray, "n k"]
) -> Float32[np.ndarray, "n 3 k"]:
    """Lay side by side what ``AdaptationLoss`` is told of each scan.

    Args:
        allowed: One for each class that the label allows; at least one a scan.
        teacher: The logits of the network as it was.
        kept: One for each class among which the earlier network's opinion is kept; a scan with none keeps nothing.
    """
    return np.stack([allowed, teacher, kept], axis=1)


def _within(logits: Tensor, classes: Tensor) -> Tensor:
    return logits + (1 - keras.ops.cast(classes, "float32")) * _NEVER
