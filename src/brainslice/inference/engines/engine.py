"""What runs a trained network: pictures in, logits and their explanation out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from brainslice.arrays import ClassMaps, Features, InputBatch, Logits, MemberLogits
from brainslice.errors import BundleError


@dataclass(frozen=True, slots=True, eq=False)
class EngineOutput:
    """What a network says about several scans.

    Attributes:
        logits: Raw class scores ``(n, k)``.
        class_maps: The score of each class at each position ``(n, mh, mw, k)``, which the head pools to logits.
        features: What the head saw ``(n, f)``, the members' side by side; ``f`` is 0 where the graph does not tell.
        feature_maps: What the pyramid head sees at every position ``(n, mh, mw, f)``; only where it was asked for.
        member_logits: The logits of each member of an ensemble ``(n, m, k)``, whose mean are ``logits``; None where
            there is one network alone.
    """

    logits: Logits
    class_maps: ClassMaps
    features: Features
    member_logits: MemberLogits | None = None
    feature_maps: Float[np.ndarray, "n mh mw f"] | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that nothing can be concluded from."""
        told = (self.logits, self.class_maps, self.features, self.member_logits)
        if not all(np.isfinite(numbers).all() for numbers in told if numbers is not None):
            msg = "the model must answer in finite numbers, got NaN or infinity; take another bundle"
            raise BundleError(msg)

    @classmethod
    def empty(cls, map_shape: tuple[int, int, int]) -> EngineOutput:
        """Answer for no scans at all, with class maps of a shape ``(mh, mw, k)``."""
        numbers = np.zeros((0, *map_shape), dtype=np.float32)
        return cls(logits=numbers[:, 0, 0], class_maps=numbers, features=numbers[:, 0, 0, :0])

    @classmethod
    def join(cls, parts: Sequence[EngineOutput]) -> EngineOutput:
        """Lay the answers about several batches of scans one after the other.

        Args:
            parts: At least one answer, all of one network.

        Returns:
            The answer about all their scans, in order.
        """
        members = [part.member_logits for part in parts if part.member_logits is not None]
        return cls(
            logits=np.concatenate([part.logits for part in parts]),
            class_maps=np.concatenate([part.class_maps for part in parts]),
            features=np.concatenate([part.features for part in parts]),
            member_logits=np.concatenate(members) if members else None,
        )


@runtime_checkable
class Engine(Protocol):
    """Whatever can run a network; the same numbers are expected of each."""

    def run(self, batch: InputBatch) -> EngineOutput:
        """Answer for several scans at once.

        Args:
            batch: Network inputs ``(n, h, w)``, 0 to 255; at least one.

        Returns:
            Logits, class maps and features; the same for a scan whatever lies beside it in the batch.

        Raises:
            BundleError: The model cannot take these inputs, or gives no usable answer.
        """
        ...
