"""Source-controlled test: slices with and without tumour of the same patients, mirror twins and shams."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from brainslice.arrays import Decisions, Groups, InputBatch, Logits, Mask, NetworkInput, Scores
from brainslice.counterfactual import BACKGROUND, OutlinedScans, make_test_twins
from brainslice.dataset import read_mask
from brainslice.decision import Verdict
from brainslice.errors import DatasetError
from brainslice.inference import EngineOutput, Predictor, positive_class_maps, share_on_mask, upsample
from brainslice.metrics import (
    Score,
    ScoredSlices,
    ScoredTwins,
    SourceControlled,
    clustered_bootstrap,
    resample,
    slice_scores,
)
from brainslice.progress import Progress, silent
from brainslice.scan import read_scan

TABLE: Final = "slices.csv"
_COLUMNS: Final = ("path", "patient", "tumour")
_LARGE: Final = 0.01
"""Share of the picture above which a tumour is large."""

_CONFIDENT: Final = 0.95
_TWINS: Final = 2
_SEED: Final = 0
"""Seed of the positions of shams: all models are compared on the same images."""


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
    """Score a folder with ``slices.csv``: slices with and without tumour of the same patients.

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
    slices = ScoredSlices(np.array([row.tumour for row in rows]), *_predict(predictor, output.logits), patients)
    scores = (*slice_scores(slices), *_heat_in_masks(predictor, output, inputs, masks, patients))
    return SourceControlled(folder.name, scores, _confident_misses(predictor, output, inputs, masks))


def score_mirror_twins(
    predictor: Predictor, scans: OutlinedScans, logits: Logits, patients: Groups, progress: Progress = silent
) -> ScoredTwins | None:
    """Score mirror twins and shams of test scans whose outlines are known.

    Args:
        predictor: The model.
        scans: The set; ``train`` lists the ``n`` test scans.
        logits: The model's logits of these ``(n, k)``.
        patients: A number for the patient of each of these ``(n,)``.
        progress: Called with the step and how far it is.

    Returns:
        The scores; None where no test scan makes twins.
    """
    made = make_test_twins(scans, _SEED, progress)
    if not made:
        return None
    rows = np.array([healthy.sources[0] for healthy, *_ in made])
    pairs = [picture.picture for pair in made for picture in pair[:_TWINS]]
    scores, predictions = (each.reshape(-1, _TWINS) for each in _score(predictor, np.stack(pairs), progress))
    sham = np.full(len(made), -1)
    shams = {number: pictures[-1].picture for number, pictures in enumerate(made) if len(pictures) > _TWINS}
    if shams:
        present = np.array(list(shams))
        _, before = _predict(predictor, logits[np.isin(scans.train, rows[present])])
        _, after = _score(predictor, np.stack(list(shams.values())), progress)
        sham[present] = before != after
    return ScoredTwins(patients[np.isin(scans.train, rows)], scores, predictions, sham)


def _score(predictor: Predictor, inputs: InputBatch, progress: Progress) -> tuple[Scores, Decisions]:
    return _predict(predictor, predictor.score(inputs, progress).logits)


def _predict(predictor: Predictor, logits: Logits) -> tuple[Scores, Decisions]:
    """Compute the log odds of a tumour, and the predictions at the bundle's threshold."""
    healthy = predictor.bundle.labels.healthy_index
    predictions = 1 - predictor.temperature.probabilities(logits)[:, healthy] >= predictor.threshold
    return log_odds(logits / predictor.temperature.value, healthy), predictions


def log_odds(logits: Logits, healthy: int) -> Scores:
    """Compute the log odds of any tumour ``(n,)``, which unlike P(tumour) do not saturate at 1."""
    wide = logits.astype(np.float64)
    return np.asarray(np.logaddexp.reduce(np.delete(wide, healthy, axis=1), axis=1) - wide[:, healthy])


def _heat_in_masks(
    predictor: Predictor,
    output: EngineOutput,
    inputs: Sequence[NetworkInput],
    masks: Sequence[Mask | None],
    patients: Groups,
) -> tuple[Score, ...]:
    """Measure the share of the class map inside the mask, for the likeliest tumour class, and its ratio by area."""
    shares, ratios, owners = [], [], []
    if not predictor.bundle.info.has_heat_maps:
        return ()
    logits = output.logits.copy()
    logits[:, predictor.bundle.labels.healthy_index] = -np.inf
    for row, mask in enumerate(masks):
        if mask is None or not mask.any():
            continue
        maps = positive_class_maps(output.class_maps[row], predictor.bundle.info.class_map_bias)
        share = share_on_mask(upsample(maps[..., int(logits[row].argmax())], *mask.shape), mask)
        head = max(int(((inputs[row] > BACKGROUND) | mask).sum()), 1)
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
    healthy_probabilities = predictor.temperature.probabilities(output.logits)[:, healthy]
    decisions = predictor.verdict_rules.decide(output, inputs, predictor.temperature, predictor.threshold)
    confident = [row for row in large if healthy_probabilities[row] >= _CONFIDENT]
    missed = [row for row in confident if decisions[row].verdict is not Verdict.REFER]
    return {"large_tumours": len(large), "confident_misses": len(missed)}


def _row(folder: Path, row: dict[str, str], number: int) -> SliceRow:
    tumour = (row["tumour"] or "").strip()
    if tumour not in {"0", "1"} or not row["path"] or not row["patient"]:
        wanted = "path and patient must not be empty and tumour must be 0 or 1"
        msg = f"{folder / TABLE}: line {number}: {wanted}, got {row['path']!r}, {row['patient']!r} and {tumour!r}"
        raise DatasetError(msg)
    mask = (row.get("mask") or "").strip()
    return SliceRow(folder / row["path"], row["patient"], tumour == "1", folder / mask if mask else None)
