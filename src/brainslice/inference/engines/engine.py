"""The interface of engines, which run a trained network, and their output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from brainslice.array_types import Float
from brainslice.arrays import ClassMaps, Features, InputBatch, Logits, MemberLogits
from brainslice.errors import BundleError


@dataclass(frozen=True, slots=True, eq=False)
class EngineOutput:
    """The outputs of a network for several scans.

    Attributes:
        logits: Raw class scores ``(n, k)``.
        class_maps: The score of each class at each position ``(n, mh, mw, k)``, pooled to logits by the head.
        features: Feature means ``(n, f)``, concatenated over members; ``f`` is 0 if the graph has no such output.
        feature_maps: Features of the pyramid head at every position ``(n, mh, mw, f)``; only on request.
        member_logits: The logits of each ensemble member ``(n, m, k)``, whose mean are ``logits``; None for a single
            network.
    """

    logits: Logits
    class_maps: ClassMaps
    features: Features
    member_logits: MemberLogits | None = None
    feature_maps: Float[np.ndarray, "n mh mw channels"] | None = None

    def __post_init__(self) -> None:
        arrays = (self.logits, self.class_maps, self.features, self.member_logits)
        if not all(np.isfinite(array).all() for array in arrays if array is not None):
            msg = "the model's outputs must be finite numbers, got NaN or infinity; use another bundle"
            raise BundleError(msg)

    @classmethod
    def empty(cls, map_shape: tuple[int, int, int]) -> EngineOutput:
        """Return the output for no scans, with class maps of a shape ``(mh, mw, k)``."""
        numbers = np.zeros((0, *map_shape), dtype=np.float32)
        return cls(logits=numbers[:, 0, 0], class_maps=numbers, features=numbers[:, 0, 0, :0])

    @classmethod
    def join(cls, parts: Sequence[EngineOutput]) -> EngineOutput:
        """Concatenate the outputs of one or more batches of the same network."""
        members = [part.member_logits for part in parts if part.member_logits is not None]
        return cls(
            logits=np.concatenate([part.logits for part in parts]),
            class_maps=np.concatenate([part.class_maps for part in parts]),
            features=np.concatenate([part.features for part in parts]),
            member_logits=np.concatenate(members) if members else None,
        )


@runtime_checkable
class Engine(Protocol):
    """Runs a network."""

    def run(self, batch: InputBatch) -> EngineOutput:
        """Run the network on a batch.

        Args:
            batch: Network inputs ``(n, h, w)``, 0 to 255; at least one.

        Returns:
            Logits, class maps and features; those of a scan do not depend on the rest of the batch.

        Raises:
            BundleError: The shape of the inputs does not fit, or outputs are not finite.
        """
        ...
