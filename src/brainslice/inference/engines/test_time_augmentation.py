"""Test-time augmentation: the mean of the outputs for a fixed list of transforms of every scan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from brainslice.array_types import Float32
from brainslice.arrays import ClassMaps, InputBatch, MemberLogits
from brainslice.inference.engines.engine import Engine, EngineOutput
from brainslice.inference.predictor import Predictor


@dataclass(frozen=True, slots=True)
class View:
    """A geometric transform.

    Attributes:
        name: Its name.
        mirrored: Whether to flip left and right.
        zoom: Magnification about the centre.
        down: Shift down, as a share of the height.
        right: Shift to the right, as a share of the width.
    """

    name: str
    mirrored: bool = False
    zoom: float = 1.0
    down: float = 0.0
    right: float = 0.0

    def apply(self, batch: InputBatch) -> InputBatch:
        """Transform network inputs ``(n, h, w)``, 0 to 255; uncovered pixels are black."""
        height, width = batch.shape[1:]
        rows = _resampling(height, 1 / self.zoom, -self.down / self.zoom, hold_edge=False)
        columns = _resampling(width, 1 / self.zoom, -self.right / self.zoom, hold_edge=False)
        moved = rows @ batch.astype(np.float32) @ columns.T
        flipped = moved[..., ::-1] if self.mirrored else moved
        return np.asarray(np.rint(np.clip(flipped, 0, 255)), np.uint8)

    def invert(self, output: EngineOutput) -> ClassMaps:
        """Transform class maps ``(n, mh, mw, k)`` back to the scans' geometry; their means remain the logits."""
        flipped = output.class_maps[:, :, ::-1] if self.mirrored else output.class_maps
        rows = _resampling(flipped.shape[1], self.zoom, self.down, hold_edge=True)
        columns = _resampling(flipped.shape[2], self.zoom, self.right, hold_edge=True)
        restored = np.einsum("an,sncl,bc->sabl", rows, flipped, columns)
        # Lost cells and repeated edges change the mean slightly: correct it.
        gap = output.logits - restored.mean(axis=(1, 2))
        return np.asarray(restored + gap[:, np.newaxis, np.newaxis])


VIEWS: Final = (
    View("as it is"),
    View("mirrored", mirrored=True),
    View("nearer", zoom=1.05),
    View("farther", zoom=1 / 1.05),
    View("up and left", down=-0.03, right=-0.03),
    View("down and right", down=0.03, right=0.03),
)
"""The transforms, identity first; all are within the ranges of training augmentation."""


class MultiViewEngine:
    """An engine that averages the outputs over views."""

    def __init__(self, engine: Engine, views: tuple[View, ...] = VIEWS) -> None:
        self._engine = engine
        self._views = views

    def run(self, batch: InputBatch) -> EngineOutput:
        """Run the network on a batch; see ``Engine.run``.

        Features are those of the first view, because the out-of-distribution detector was fitted without views.
        """
        outputs = [self._engine.run(view.apply(batch)) for view in self._views]
        maps = [view.invert(answer) for view, answer in zip(self._views, outputs, strict=True)]
        members: list[MemberLogits] = [each.member_logits for each in outputs if each.member_logits is not None]
        return EngineOutput(
            logits=np.mean([each.logits for each in outputs], axis=0),
            class_maps=np.mean(maps, axis=0),
            features=outputs[0].features,
            member_logits=np.mean(members, axis=0) if members else None,
        )


def with_test_time_augmentation(predictor: Predictor) -> Predictor:
    """Return a deterministic predictor that averages over views.

    Its temperature was fitted without views, so its probabilities are calibrated approximately. It makes no prediction
    sets, whose coverage was not measured with views.
    """
    rules = replace(predictor.verdict_rules, conformal_sets=None)
    return replace(predictor, engine=MultiViewEngine(predictor.engine), verdict_rules=rules)


def _resampling(size: int, scale: float, shift: float, *, hold_edge: bool) -> Float32[np.ndarray, "size size"]:
    """Make a linear interpolation matrix: the new cell at ``p``, 0 to 1, is at ``(p - 0.5) · scale + 0.5 + shift``.

    Args:
        size: The number of cells.
        scale: The sampling distance.
        shift: The offset as a share of the size.
        hold_edge: Whether cells outside repeat the nearest edge; else they are 0.
    """
    centres = (np.arange(size) + 0.5) / size
    positions = ((centres - 0.5) * scale + 0.5 + shift) * size - 0.5
    below = np.floor(positions).astype(np.int64)
    weights = np.zeros((size, size), np.float64)
    for old, share in ((below, 1 - (positions - below)), (below + 1, positions - below)):
        inside = np.full(size, fill_value=True) if hold_edge else (old >= 0) & (old < size)
        np.add.at(weights, (np.flatnonzero(inside), np.clip(old, 0, size - 1)[inside]), share[inside])
    return weights.astype(np.float32)
