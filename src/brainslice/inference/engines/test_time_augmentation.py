"""Test-time augmentation: the same few views of every scan, and the mean of what is said about them.

Nothing is drawn by chance: the views are listed here, so the same scan gets the same answer every time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Float32

from brainslice.arrays import ClassMaps, InputBatch, MemberLogits
from brainslice.inference.engines.engine import Engine, EngineOutput
from brainslice.inference.predictor import Predictor


@dataclass(frozen=True, slots=True)
class View:
    """One way to look at a scan.

    Attributes:
        name: What to call it.
        mirrored: Whether left and right change sides.
        zoom: How much larger everything is shown, about the middle.
        down: How far everything is moved down, as a share of the picture.
        right: How far everything is moved to the right, as a share of the picture.
    """

    name: str
    mirrored: bool = False
    zoom: float = 1.0
    down: float = 0.0
    right: float = 0.0

    def apply(self, batch: InputBatch) -> InputBatch:
        """Look at scans this way; what comes into view from outside is black.

        Args:
            batch: Network inputs ``(n, h, w)``, 0 to 255.

        Returns:
            The same scans as they are seen ``(n, h, w)``.
        """
        height, width = batch.shape[1:]
        rows = _resampling(height, 1 / self.zoom, -self.down / self.zoom, hold_edge=False)
        columns = _resampling(width, 1 / self.zoom, -self.right / self.zoom, hold_edge=False)
        seen = rows @ batch.astype(np.float32) @ columns.T
        turned = seen[..., ::-1] if self.mirrored else seen
        return np.asarray(np.rint(np.clip(turned, 0, 255)), np.uint8)

    def invert(self, output: EngineOutput) -> ClassMaps:
        """Bring what was said about a view back to where the scan has it.

        Args:
            output: What was said about scans seen this way.

        Returns:
            Class maps ``(n, mh, mw, k)`` in the scans' own places; their spatial means still are the logits.
        """
        turned = output.class_maps[:, :, ::-1] if self.mirrored else output.class_maps
        rows = _resampling(turned.shape[1], self.zoom, self.down, hold_edge=True)
        columns = _resampling(turned.shape[2], self.zoom, self.right, hold_edge=True)
        placed = np.einsum("an,sncl,bc->sabl", rows, turned, columns)
        # Cells that left the view and edges that were held change the mean a little: put it right.
        gap = output.logits - placed.mean(axis=(1, 2))
        return np.asarray(placed + gap[:, np.newaxis, np.newaxis])


VIEWS: Final = (
    View("as it is"),
    View("mirrored", mirrored=True),
    View("nearer", zoom=1.05),
    View("farther", zoom=1 / 1.05),
    View("up and left", down=-0.03, right=-0.03),
    View("down and right", down=0.03, right=0.03),
)
"""Every view that is taken, the scan itself first; each lies well within what training varied."""


class MultiViewEngine:
    """An engine that looks at every scan in each view and gives the mean of the answers."""

    def __init__(self, engine: Engine, views: tuple[View, ...] = VIEWS) -> None:
        """Take the engine that looks, and the views."""
        self._engine = engine
        self._views = views

    def run(self, batch: InputBatch) -> EngineOutput:
        """Answer for several scans at once; see ``Engine.run``.

        Features are those of the first view, the scan itself: the gate was fitted on scans as they are.
        """
        answers = [self._engine.run(view.apply(batch)) for view in self._views]
        maps = [view.invert(answer) for view, answer in zip(self._views, answers, strict=True)]
        members: list[MemberLogits] = [each.member_logits for each in answers if each.member_logits is not None]
        return EngineOutput(
            logits=np.mean([each.logits for each in answers], axis=0),
            class_maps=np.mean(maps, axis=0),
            features=answers[0].features,
            member_logits=np.mean(members, axis=0) if members else None,
        )


def with_test_time_augmentation(predictor: Predictor) -> Predictor:
    """Let a predictor look at every scan in several views.

    Its temperature was fitted on scans as they are, and stays; so its probabilities are approximately calibrated at
    best. Prediction sets would promise a coverage that nobody has measured with views, so it makes none.

    Args:
        predictor: The predictor.

    Returns:
        One that takes as many times as long as there are views, and gives the same answer every time.
    """
    plain = replace(predictor.verdict_rules, conformal_sets=None)
    return replace(predictor, engine=MultiViewEngine(predictor.engine), verdict_rules=plain)


def _resampling(size: int, scale: float, shift: float, *, hold_edge: bool) -> Float32[np.ndarray, "size size"]:
    """Weigh old cells to new ones: the new cell at ``p``, 0 to 1, shows what is at ``(p - 0.5) · scale + 0.5 + shift``.

    Args:
        size: How many cells.
        scale: How far apart neighbours are taken.
        shift: How far along, as a share of the whole.
        hold_edge: Whether places outside show the nearest edge; else they show nothing.
    """
    middles = (np.arange(size) + 0.5) / size
    places = ((middles - 0.5) * scale + 0.5 + shift) * size - 0.5
    below = np.floor(places).astype(np.int64)
    weights = np.zeros((size, size), np.float64)
    for old, share in ((below, 1 - (places - below)), (below + 1, places - below)):
        inside = np.full(size, fill_value=True) if hold_edge else (old >= 0) & (old < size)
        np.add.at(weights, (np.flatnonzero(inside), np.clip(old, 0, size - 1)[inside]), share[inside])
    return weights.astype(np.float32)
