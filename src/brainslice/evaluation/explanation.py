"""Heat map overlays of test scans, and the share of heat inside tumour masks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brainslice.array_types import Int
from brainslice.dataset import tumour_mask
from brainslice.evaluation.scoring import ScoredTestSet
from brainslice.files import atomic_folder
from brainslice.inference import positive_class_maps, save_overlay, share_on_mask, upsample
from brainslice.metrics import Interval, clustered_bootstrap, resample
from brainslice.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class MaskShare:
    """Share of the true class's heat inside the tumour mask, over the test scans that have a mask.

    Attributes:
        share: Mean share of the heat inside the mask, 0 to 1.
        area: Mean share of the image inside the mask: the value for a uniform heat map.
        interval: Bootstrap interval of ``share``, by group.
        n: Scans with a mask.
        groups: Groups they come from.
    """

    share: float
    area: float
    interval: Interval | None
    n: int
    groups: int

    def to_json(self) -> dict[str, Any]:
        """Return the shares as JSON types."""
        return {
            "share_on_mask": self.share,
            "mask_area": self.area,
            "interval": None if self.interval is None else self.interval.to_json(),
            "n": self.n,
            "groups": self.groups,
        }


@dataclass(frozen=True, slots=True)
class Explained:
    """Results of the explanation of a test set.

    Attributes:
        overlays: File names of the overlays.
        on_mask: Share of heat inside masks; None where no scan has a mask.
    """

    overlays: tuple[str, ...]
    on_mask: MaskShare | None


def explain(test_set: ScoredTestSet, folder: Path, overlays: int, progress: Progress = silent) -> Explained:
    """Draw overlays of some test scans, balanced over classes, and measure the heat inside tumour masks."""
    names = []
    with atomic_folder(folder) as staging:
        for number, index in enumerate(_examples(test_set, overlays)):
            record = test_set.manifest.records[test_set.split.test[index]]
            answer = test_set.predictor.predict(test_set.manifest.root / record.path)
            name = f"{number + 1:02d}_true_{record.label}_said_{answer.most_probable_class}.png"
            save_overlay(answer, staging / name)
            names.append(name)
    return Explained(tuple(names), _mask_share(test_set, progress))


def _examples(test_set: ScoredTestSet, count: int) -> Int[np.ndarray, " m"]:
    """Choose test scans alternately from every class, evenly spaced within each."""
    labels = test_set.scored.labels
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    chosen = sorted((rank, label) for label, own in enumerate(members) for rank in range(len(own)))[:count]
    counts = np.bincount([label for _, label in chosen], minlength=len(members))
    spaced = [
        own[np.linspace(0, len(own) - 1, number).astype(int)] for own, number in zip(members, counts, strict=True)
    ]
    return np.array([spaced[label][rank] for rank, label in chosen], int)


def _mask_share(test_set: ScoredTestSet, progress: Progress) -> MaskShare | None:
    info = test_set.predictor.bundle.info
    rows, shares, areas = [], [], []
    for index, scan in enumerate(test_set.split.test):
        record = test_set.manifest.records[scan]
        mask = tumour_mask(test_set.manifest, record, test_set.predictor.recipe)
        progress("measuring heat on tumours", index + 1, len(test_set.split.test))
        if mask is None or not mask.any():
            continue
        class_maps = positive_class_maps(test_set.output.class_maps[index], info.class_map_bias)
        heat = upsample(class_maps[..., test_set.scored.labels[index]], *mask.shape)
        if heat.sum() > 0:
            rows.append(index)
            shares.append(share_on_mask(heat, mask))
            areas.append(float(mask.mean()))
    if not rows:
        return None
    groups = test_set.scored.groups[rows]
    parts = np.column_stack([shares, np.ones(len(shares))])
    draws = resample(groups, test_set.evaluation.settings.seed)
    interval = clustered_bootstrap(lambda sums: sums[:, 0] / sums[:, 1], parts, draws)
    return MaskShare(float(np.mean(shares)), float(np.mean(areas)), interval, len(rows), len(np.unique(groups)))
