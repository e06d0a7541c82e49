"""Heat maps of some test scans, and how much of the heat lies on the tumour where its outline is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from brainslice.dataset.masks import tumour_mask
from brainslice.evaluation.scoring import ScoredTestSet
from brainslice.files import atomic_folder
from brainslice.inference.heat_map import positive_class_maps, share_on_mask, upsample
from brainslice.inference.overlay import save_overlay
from brainslice.metrics.intervals.asymptotic import Interval
from brainslice.metrics.intervals.bootstrap import clustered_bootstrap, resample
from brainslice.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class MaskShare:
    """How much of the heat for the true class lies on the tumour, over the test scans whose outline is known.

    Attributes:
        share: Mean share of the heat inside the outline, 0 to 1.
        area: Mean share of the picture inside the outline: what heat spread evenly would reach.
        interval: Of ``share``, by groups drawn again.
        n: Scans with a known outline.
        groups: Groups they come from.
    """

    share: float
    area: float
    interval: Interval | None
    n: int
    groups: int

    def to_json(self) -> dict[str, Any]:
        """Write everything in plain types."""
        return {
            "share_on_mask": self.share,
            "mask_area": self.area,
            "interval": None if self.interval is None else self.interval.to_json(),
            "n": self.n,
            "groups": self.groups,
        }


@dataclass(frozen=True, slots=True)
class Explained:
    """What was drawn and measured of the heat maps.

    Attributes:
        overlays: File names of the overlays drawn.
        on_mask: The heat on known tumours; None where no outline is known.
    """

    overlays: tuple[str, ...]
    on_mask: MaskShare | None


def explain(judged: ScoredTestSet, folder: Path, overlays: int, progress: Progress = silent) -> Explained:
    """Draw overlays of some test scans, as many of each class, and measure the heat on known tumours.

    Args:
        judged: A bundle and the test scans it met.
        folder: Where the overlays go; those of an earlier evaluation are replaced.
        overlays: How many to draw.
        progress: Hears how far it is.
    """
    names = []
    with atomic_folder(folder) as staging:
        for number, place in enumerate(_examples(judged, overlays)):
            record = judged.manifest.records[judged.split.test[place]]
            answer = judged.predictor.predict(judged.manifest.root / record.path)
            name = f"{number + 1:02d}_true_{record.label}_said_{answer.most_probable_class}.png"
            save_overlay(answer, staging / name)
            names.append(name)
    return Explained(tuple(names), _measure(judged, progress))


def _examples(judged: ScoredTestSet, count: int) -> Int[np.ndarray, " m"]:
    """Choose test scans by turns from every class, spread evenly over each; never by how well they look."""
    labels = judged.scored.labels
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    turns = [(turn, place) for place, own in enumerate(members) for turn in range(len(own))]
    taken = sorted(turns)[:count]
    wanted = [sum(place == other for _, other in taken) for place in range(len(members))]
    spread = [own[np.linspace(0, len(own) - 1, share).astype(int)] for own, share in zip(members, wanted, strict=True)]
    return np.array([spread[place][turn] for turn, place in taken], int)


def _measure(judged: ScoredTestSet, progress: Progress) -> MaskShare | None:
    info = judged.predictor.bundle.info
    rows, shares, areas = [], [], []
    for place, scan in enumerate(judged.split.test):
        record = judged.manifest.records[scan]
        mask = tumour_mask(judged.manifest, record, judged.predictor.recipe)
        progress("measuring heat on tumours", place + 1, len(judged.split.test))
        if mask is None or not mask.any():
            continue
        evidence = positive_class_maps(judged.output.class_maps[place], info.class_map_bias)
        heat = upsample(evidence[..., judged.scored.labels[place]], *mask.shape)
        if heat.sum() > 0:
            rows.append(place)
            shares.append(share_on_mask(heat, mask))
            areas.append(float(mask.mean()))
    if not rows:
        return None
    groups = judged.scored.groups[rows]
    parts = np.column_stack([shares, np.ones(len(shares))])
    draws = resample(groups, judged.evaluation.settings.seed)
    interval = clustered_bootstrap(lambda sums: sums[:, 0] / sums[:, 1], parts, draws)
    return MaskShare(float(np.mean(shares)), float(np.mean(areas)), interval, len(rows), len(np.unique(groups)))
