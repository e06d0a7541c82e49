"""Source-controlled test: slices with and without tumour of the same patients, mirror twins and shams."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from brainslice.arrays import Decisions, Groups, Logits, Mask, NetworkInput, Scores
from brainslice.counterfactual import MirrorTwins, mirror_region, mirror_twins, opposite, widened
from brainslice.dataset.masks import read_mask, tumour_mask
from brainslice.decision.verdict import Verdict
from brainslice.errors import DatasetError
from brainslice.evaluation.scoring import ScoredTestSet
from brainslice.inference.engines.engine import EngineOutput
from brainslice.inference.heat_map import positive_class_maps, share_on_mask, upsample
from brainslice.inference.predictor import Predictor
from brainslice.metrics.intervals.asymptotic import LEVEL
from brainslice.metrics.intervals.bootstrap import clustered_bootstrap, resample
from brainslice.metrics.scoring import Score, proportion
from brainslice.metrics.source_controlled import ScoredSlices, slice_scores, twin_scores
from brainslice.progress import Progress, silent
from brainslice.scan.read import read_scan

TABLE: Final = "slices.csv"
_COLUMNS: Final = ("path", "patient", "tumour")
_LARGE: Final = 0.01
"""Share of the picture above which a tumour is large."""

_CONFIDENT: Final = 0.95
_HEAD: Final = 12
_ON_HEAD: Final = 0.95
_TRIES: Final = 30


@dataclass(frozen=True, slots=True)
class SourceControlled:
    """Result of one source-controlled test.

    Attributes:
        name: The data.
        scores: What was measured, each with n, patients and interval by patient.
        counts: Counts that are no shares, such as ``confident_misses``.
    """

    name: str
    scores: tuple[Score, ...]
    counts: dict[str, int]

    def summary_lines(self) -> tuple[str, ...]:
        """Spell the scores, a line each."""
        lines = [
            f"{self.name}, {score.name}: {score.text}, n = {score.n}, patients = {score.groups}"
            for score in self.scores
        ]
        return (*lines, *(f"{self.name}, {name}: {count}" for name, count in self.counts.items()))

    def to_json(self) -> dict[str, Any]:
        """Write the result in plain types."""
        return {
            "name": self.name,
            "scores": {score.name: score.to_json() for score in self.scores},
            "counts": dict(self.counts),
        }


@dataclass(frozen=True, slots=True)
class SliceRow:
    """One row of ``slices.csv``.

    Attributes:
        path: The scan.
        patient: Its patient.
        tumour: Whether it shows a tumour.
        mask: The tumour's mask, where there is one.
    """

    path: Path
    patient: str
    tumour: bool
    mask: Path | None


def read_slices(folder: Path) -> tuple[SliceRow, ...]:
    """Read ``slices.csv``: columns ``path``, ``patient``, ``tumour`` and optionally ``mask``; others are ignored.

    Raises:
        DatasetError: The table is missing, has no rows, lacks a column, or holds an invalid value.
    """
    table = folder / TABLE
    try:
        with table.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            rows = [] if missing else list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{table}: cannot be read ({error}); it must be a CSV file with the columns {', '.join(_COLUMNS)}"
        raise DatasetError(msg) from error
    if missing or not rows:
        fault = f"lacks the column {missing[0]}" if missing else "must have at least one row, got none"
        msg = f"{table}: {fault}; required columns: {', '.join(_COLUMNS)}"
        raise DatasetError(msg)
    return tuple(_row(folder, row, number) for number, row in enumerate(rows, 2))


def score_slices(folder: Path, predictor: Predictor, progress: Progress = silent) -> SourceControlled:
    """Score a folder of slices with and without tumour of the same patients.

    Args:
        folder: Holds ``slices.csv``.
        predictor: The model.
        progress: Called with the step and how far it is.

    Raises:
        DatasetError: The table is invalid.
        UnreadableScanError: A scan or a mask cannot be read.
    """
    rows = read_slices(folder)
    inputs, masks = [], []
    for number, row in enumerate(rows):
        scan = read_scan(row.path)
        inputs.append(predictor.recipe(scan))
        masks.append(None if row.mask is None else read_mask(row.mask, scan, predictor.recipe))
        progress(f"read {folder.name}", number + 1, len(rows))
    output = predictor.score(np.stack(inputs), progress)
    patients = np.unique([row.patient for row in rows], return_inverse=True)[1]
    slices = _scored(predictor, output.logits, np.array([row.tumour for row in rows]), patients)
    scores = (*slice_scores(slices), *_energy(predictor, output, inputs, masks, patients))
    return SourceControlled(folder.name, scores, _confident_misses(predictor, output, inputs, masks))


def score_mirror_twins(judged: ScoredTestSet, progress: Progress = silent) -> SourceControlled | None:
    """Score mirror twins and shams of the test scans whose masks are known.

    Args:
        judged: An evaluated bundle.
        progress: Called with the step and how far it is.

    Returns:
        The result; None where no test scan makes twins.
    """
    predictor, manifest = judged.predictor, judged.manifest
    made: list[tuple[MirrorTwins, NetworkInput, NetworkInput | None, int]] = []
    rng = np.random.default_rng(judged.evaluation.settings.seed)
    for place, scan in enumerate(judged.split.test):
        record = manifest.records[scan]
        progress("mirror twins", place + 1, len(judged.split.test))
        mask = tumour_mask(manifest, record, predictor.recipe)
        if mask is None or not mask.any():
            continue
        picture = predictor.recipe(read_scan(manifest.root / record.path))
        twins = mirror_twins(picture, mask)
        if twins is not None:
            made.append((twins, picture, sham(picture, mask, twins, rng), int(judged.scored.groups[place])))
    return _score_twins(predictor, made, progress) if made else None


def sham(picture: NetworkInput, lesion: Mask, twins: MirrorTwins, rng: np.random.Generator) -> NetworkInput | None:
    """Mirror a region of the lesion's shape elsewhere on the head, as the twins are mirrored.

    Args:
        picture: Grey values ``(size, size)``.
        lesion: Lesion pixels ``(size, size)``.
        twins: The picture's twins, for their midline.
        rng: Chooses the place.

    Returns:
        The picture ``(size, size)``; None where the shape fits nowhere clear of the lesion and its mirror image.
    """
    taken = widened(lesion, 8) | widened(opposite(lesion, twins.midline), 8)
    rows, columns = np.nonzero(lesion)
    places = np.argwhere(picture > _HEAD)
    middle = np.array([round(rows.mean()), round(columns.mean())])
    for place in rng.choice(places, min(_TRIES, len(places)), replace=False):
        down, across = place - middle
        kept = (rows + down >= 0) & (rows + down < len(picture)) & (columns + across >= 0)
        kept &= columns + across < picture.shape[1]
        region = np.zeros_like(lesion)
        region[rows[kept] + down, columns[kept] + across] = True
        on_head = float((picture[region] > _HEAD).mean()) if kept.all() else 0.0
        if on_head >= _ON_HEAD and not (region & taken).any():
            return mirror_region(picture, region, twins.midline)
    return None


def _score_twins(
    predictor: Predictor,
    made: Sequence[tuple[MirrorTwins, NetworkInput, NetworkInput | None, int]],
    progress: Progress,
) -> SourceControlled:
    def scored(pictures: Sequence[NetworkInput], patients: Sequence[int], *, tumour: bool) -> ScoredSlices:
        logits = predictor.score(np.stack(pictures), progress).logits
        return _scored(predictor, logits, np.full(len(pictures), tumour), np.array(patients))

    patients = [patient for *_, patient in made]
    healthy = scored([twins.healthy for twins, *_ in made], patients, tumour=False)
    lesion = scored([twins.lesion for twins, *_ in made], patients, tumour=True)
    scores = list(twin_scores(healthy, lesion))
    changed = [(picture, other, patient) for _, picture, other, patient in made if other is not None]
    if changed:
        owners = [patient for *_, patient in changed]
        before = scored([picture for picture, *_ in changed], owners, tumour=True)
        after = scored([other for _, other, _ in changed], owners, tumour=True)
        scores.append(proportion("sham_changes_answer", before.called != after.called, before.patients, LEVEL))
    return SourceControlled("mirror twins", tuple(scores), {"pairs": len(made)})


def _scored(predictor: Predictor, logits: Logits, tumour: Decisions, patients: Groups) -> ScoredSlices:
    healthy = predictor.bundle.labels.healthy_index
    called = 1 - predictor.temperature.probabilities(logits)[:, healthy] >= predictor.threshold
    return ScoredSlices(tumour, log_odds(logits / predictor.temperature.value, healthy), called, patients)


def log_odds(logits: Logits, healthy: int) -> Scores:
    """Compute the log odds of any tumour ``(n,)``, which unlike P(tumour) do not saturate at 1."""
    wide = logits.astype(np.float64)
    return np.asarray(np.logaddexp.reduce(np.delete(wide, healthy, axis=1), axis=1) - wide[:, healthy])


def _energy(
    predictor: Predictor,
    output: EngineOutput,
    inputs: Sequence[NetworkInput],
    masks: Sequence[Mask | None],
    patients: Groups,
) -> tuple[Score, ...]:
    """Measure the share of the class map inside the mask, for the likeliest tumour class, and its ratio by area."""
    shares, ratios, owners = [], [], []
    logits = output.logits.copy()
    logits[:, predictor.bundle.labels.healthy_index] = -np.inf
    for row, mask in enumerate(masks):
        if mask is None or not mask.any():
            continue
        maps = positive_class_maps(output.class_maps[row], predictor.bundle.info.class_map_bias)
        share = share_on_mask(upsample(maps[..., int(logits[row].argmax())], *mask.shape), mask)
        head = max(int(((inputs[row] > _HEAD) | mask).sum()), 1)
        shares.append(share)
        ratios.append(share / (float(mask.sum()) / head))
        owners.append(int(patients[row]))
    names = ("energy_inside_mask", "energy_per_share_of_head")
    return tuple(_mean(name, values, owners) for name, values in zip(names, (shares, ratios), strict=True) if values)


def _mean(name: str, values: Sequence[float], patients: Sequence[int]) -> Score:
    parts = np.column_stack([values, np.ones(len(values))])
    interval = clustered_bootstrap(lambda sums: sums[:, 0] / sums[:, 1], parts, resample(np.array(patients), 0))
    return Score(name, float(np.mean(values)), interval, len(values), len(set(patients)))


def _confident_misses(
    predictor: Predictor, output: EngineOutput, inputs: Sequence[NetworkInput], masks: Sequence[Mask | None]
) -> dict[str, int]:
    """Count large tumours with P(no tumour) of at least .95 that were not referred."""
    large = [row for row, mask in enumerate(masks) if mask is not None and mask.mean() > _LARGE]
    healthy = predictor.bundle.labels.healthy_index
    chances = predictor.temperature.probabilities(output.logits)[:, healthy]
    judged = predictor.verdict_rules.decide(output, inputs, predictor.temperature, predictor.threshold)
    missed = [row for row in large if chances[row] >= _CONFIDENT and judged[row].verdict is not Verdict.REFER]
    return {"large_tumours": len(large), "confident_misses": len(missed)}


def _row(folder: Path, row: dict[str, str], number: int) -> SliceRow:
    tumour = (row["tumour"] or "").strip()
    if tumour not in {"0", "1"} or not row["path"] or not row["patient"]:
        wanted = "path and patient must not be empty and tumour must be 0 or 1"
        msg = f"{folder / TABLE}: line {number}: {wanted}, got {row['path']!r}, {row['patient']!r} and {tumour!r}"
        raise DatasetError(msg)
    mask = (row.get("mask") or "").strip()
    return SliceRow(folder / row["path"], row["patient"], tumour == "1", folder / mask if mask else None)
