"""What lies behind the mean: each mistake, parts of the test set, and whether operating points keep their word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from brainslice.dataset.manifest import Manifest, Record
from brainslice.dataset.splits.known_datasets import NICKPARVAR, known_scan
from brainslice.decision.operating_point import TARGETS, Criterion, MeasuredRate, OperatingPoint
from brainslice.decision.threshold_search import TumourScores
from brainslice.evaluation.mistakes import Mistake, find_mistakes
from brainslice.evaluation.operating_points import rates_at
from brainslice.evaluation.scoring import ScoredTestSet
from brainslice.metrics.subgroups import BinaryPredictions, SubgroupRow, size_bins, subgroup_rows
from brainslice.progress import Progress, silent
from brainslice.scan.read import read_scan

_FOUND: Final = "found-"
"""How groups are named that nobody knew, only the search for copies found."""


@dataclass(frozen=True, slots=True)
class OperatingPointOnTest:
    """An operating point of the bundle, on scans that did not choose it.

    Attributes:
        point: What the bundle stores.
        sensitivity: On the test scans.
        specificity: On the test scans.
        holds: Whether the targeted rate is reached on them; None where no rate was targeted.
    """

    point: OperatingPoint
    sensitivity: MeasuredRate
    specificity: MeasuredRate
    holds: bool | None

    @property
    def summary(self) -> str:
        """Say in a line what it came to."""
        word = {True: "; its target is reached", False: "; its target is missed", None: ""}[self.holds]
        told = f"sensitivity {self.sensitivity.text}, specificity {self.specificity.text}"
        return f"operating point {self.point.name} on the test scans: {told}{word}"

    def to_json(self) -> dict[str, Any]:
        """Write everything in plain types."""
        return {
            "name": self.point.name,
            "threshold": self.point.threshold,
            "promise": self.point.promise,
            "sensitivity": asdict(self.sensitivity),
            "specificity": asdict(self.specificity),
            "target_reached": self.holds,
        }


@dataclass(frozen=True, slots=True)
class ErrorAnalysis:
    """What lies behind the mean.

    Attributes:
        mistakes: Every test scan that was called wrongly, the surest mistake first.
        rows: Results by part of the test set.
        points: The bundle's operating points on the test scans.
    """

    mistakes: tuple[Mistake, ...]
    rows: tuple[SubgroupRow, ...]
    points: tuple[OperatingPointOnTest, ...]

    def to_json(self) -> dict[str, Any]:
        """Write everything in plain types; the mistakes themselves stand in a file of their own."""
        return {
            "errors": {"n": len(self.mistakes), **Counter(each.kind.value for each in self.mistakes)},
            "subgroups": [row.to_json() for row in self.rows],
            "operating_points": [point.to_json() for point in self.points],
        }


def analyse_errors(judged: ScoredTestSet, progress: Progress = silent) -> ErrorAnalysis:
    """Look behind the mean of one evaluation.

    Args:
        judged: A bundle and the test scans it met.
        progress: Hears how far it is.

    Raises:
        UnreadableScanError: A test scan is gone.
    """
    scored = judged.scored
    healthy = judged.manifest.labels.healthy_index
    tumour = scored.labels != healthy
    scores = 1.0 - scored.probabilities[:, healthy]
    right = scored.probabilities.argmax(axis=1) == scored.labels
    calls = BinaryPredictions(right, tumour, scores >= judged.predictor.threshold, scored.groups)
    level = judged.evaluation.settings.level
    parts = _attributes(judged, progress).items()
    rows = tuple(row for name, values in parts for row in subgroup_rows(name, values, calls, level))
    points: tuple[OperatingPointOnTest, ...] = ()
    if tumour.any() and not tumour.all():
        test = TumourScores(scores, tumour, scored.groups)
        points = tuple(_on_test(point, test) for point in judged.predictor.bundle.info.operating_points)
    return ErrorAnalysis(find_mistakes(judged, progress), rows, points)


def _on_test(point: OperatingPoint, test: TumourScores) -> OperatingPointOnTest:
    sensitivity, specificity = rates_at(test, point.threshold)
    kept = None
    if point.value is not None and point.criterion in TARGETS:
        found = sensitivity if point.criterion is Criterion.SENSITIVITY else specificity
        kept = found.value >= point.value
    return OperatingPointOnTest(point, sensitivity, specificity, kept)


def _attributes(judged: ScoredTestSet, progress: Progress) -> dict[str, list[str]]:
    """Say of each test scan what parts it belongs to."""
    manifest = judged.manifest
    records = [manifest.records[place] for place in judged.split.test.tolist()]
    shapes = []
    for record in records:
        shapes.append(read_scan(manifest.root / record.path).pixels.shape)
        progress("measuring test scans", len(shapes), len(records))
    return {
        "class": [record.label for record in records],
        "source": [_origin(manifest, record) for record in records],
        "patient": ["known" if _patient_known(manifest, record) else "not known" for record in records],
        "longer side": size_bins([max(shape) for shape in shapes]),
        "shape": _outlines(shapes),
    }


def _outlines(shapes: Sequence[tuple[int, ...]]) -> list[str]:
    words = {-1: "wider than high", 0: "square", 1: "higher than wide"}
    return [words[int(np.sign(rows - columns))] for rows, columns in shapes]


def _origin(manifest: Manifest, record: Record) -> str:
    """Name the collection a scan came from: known of the public set, else the first folder of its path."""
    if manifest.name == NICKPARVAR:
        known = known_scan(record.source)
        return "Cheng et al." if known is not None and known.mask else "other collections"
    folders = record.source.split("/")[:-1]
    return folders[0] if folders else "one folder"


def _patient_known(manifest: Manifest, record: Record) -> bool:
    if manifest.name == NICKPARVAR:
        known = known_scan(record.source)
        return known is not None and known.patient_known
    return manifest.groups_from == "table" and not record.group.startswith(_FOUND)
