"""What runs a trained network: pictures in, logits and their explanation out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from brainslice.arrays import ClassMaps, InputBatch, Logits
from brainslice.errors import BundleError


@dataclass(frozen=True, slots=True, eq=False)
class EngineOutput:
    """What a network says about several scans.

    Attributes:
        logits: Raw class scores ``(n, k)``.
        class_maps: What each position adds to each logit ``(n, mh, mw, k)``; the spatial mean is the logit.
    """

    logits: Logits
    class_maps: ClassMaps

    def __post_init__(self) -> None:
        """Refuse numbers that nothing can be concluded from."""
        if not (np.isfinite(self.logits).all() and np.isfinite(self.class_maps).all()):
            msg = "the model must answer in finite numbers, got NaN or infinity; take another bundle"
            raise BundleError(msg)


@runtime_checkable
class Engine(Protocol):
    """Whatever can run a network; the same numbers are expected of each."""

    def run(self, batch: InputBatch) -> EngineOutput:
        """Answer for several scans at once.

        Args:
            batch: Network inputs ``(n, h, w)``, 0 to 255; at least one.

        Returns:
            Logits and class maps; the same for a scan whatever lies beside it in the batch.

        Raises:
            BundleError: The model cannot take these inputs, or gives no usable answer.
        """
        ...
