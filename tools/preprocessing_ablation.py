"""Compare the optional preprocessing steps on frozen ImageNet features, with small heads.

Usage: python tools/preprocessing_ablation.py PROJECT WEIGHTS SEED OUTPUT.json FOLDER...

PROJECT is a prepared project with outlines; fold 0 is never read. WEIGHTS is imagenet or its local file. Each FOLDER
has slices with and without tumour of the same patients (slices.csv). Of folds 2 to 4, fold 1 and each FOLDER a sample
is drawn with SEED. For each preprocessing the activations at the cut are computed, and two models are fitted on them:
a logistic regression of a scan's class on the mean and maximum over positions, scored on fold 1; and two 3 x 3
convolutions that tell from the outlines which positions lie in a tumour, of which a slice's score is the mean of its
four strongest positions. OUTPUT.json keeps every finished preprocessing; the same command goes on with the others.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from brainslice.dataset import Manifest, decode_outlines, decode_scans, scan_deciles
from brainslice.evaluation import SliceRow, read_slices
from brainslice.files import write_json
from brainslice.metrics import area_under_roc, mean_score, resample
from brainslice.models import NetworkConfig, build_network
from brainslice.preprocessing import Recipe, mean_landmarks
from brainslice.scan import read_scan
from brainslice.training import FrozenPart, fast_frozen_part

TRAINING, VALIDATION, SLICES = 100, 40, 256
"""Scans a class of folds 2 to 4 and of fold 1, and slices of a folder at most, shared among patients and kinds."""

STRONGEST, BATCH, EPOCHS, CHANNELS = 4, 16, 6, 128
PLANS = {"none": {}, "nyul": {"contrast": "nyul"}, "clahe": {"contrast": "clahe"}, "n4": {"bias_field": "n4"}}


Positions = Callable[[np.ndarray], np.ndarray]
"""Maps activations ``(n, h, w, c)`` to the log odds of a tumour at each position."""


@dataclass(frozen=True, eq=False)
class Sample:
    """What every preprocessing is compared on: scans of the set, how many of them train, and slices of each folder."""

    manifest: Manifest
    train: int
    folders: dict[str, list[SliceRow]]
    cache: Path
    seed: int


def main(project: Path, weights: str, seed: int, output: Path, folders: Sequence[Path]) -> None:
    """Score each preprocessing, and the difference to none, with 95 % intervals by group or patient."""
    rng = np.random.default_rng(seed)
    sample = Sample(*draw(Manifest.read(project / "data"), folders, rng), project / "data" / "cache", seed)
    found: dict[str, Any] = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {}
    network = build_network(NetworkConfig(weights=weights if weights == "imagenet" else Path(weights)))
    trunk = fast_frozen_part(network, sample.cache, 4000)
    for name in (name for name in PLANS if name not in found):
        found[name] = {key: values.tolist() for key, values in score(sample, name, trunk).items()}
        write_json(output, found, "ablation")
    for name in PLANS:
        report(name, found[name], found["none"])


def report(name: str, values: dict[str, list[float]], plain: dict[str, list[float]]) -> None:
    """Print the scores of a preprocessing, and their differences to those without any step."""
    for key, own in values.items():
        if not key.endswith("_groups"):
            draws = resample(np.array(values.get(f"{key}_groups", range(len(own)))), seed=0)
            reached, gained = (
                mean_score(key, np.array(each), draws, len(own)) for each in (own, np.subtract(own, plain[key]))
            )
            sys.stdout.write(f"{name} {key}: {reached.text}; difference {gained.text}, groups = {draws.groups}\n")


def draw(
    manifest: Manifest, folders: Sequence[Path], rng: np.random.Generator
) -> tuple[Manifest, int, dict[str, list[SliceRow]]]:
    """Draw scans of each class, one a group as long as there are groups, and slices of each patient."""
    chosen = []
    for folds, count in (({2, 3, 4}, TRAINING), ({1}, VALIDATION)):
        for label in manifest.labels.names:
            groups = defaultdict(list)
            for record in rng.permutation(np.array(manifest.records, dtype=object)):
                if record.fold in folds and record.label == label:
                    groups[record.group].append(record)
            turns = sorted((turn, at) for at, each in enumerate(groups.values()) for turn in range(len(each)))
            members = list(groups.values())
            chosen += [members[at][turn] for turn, at in turns[:count]]
    slices = {}
    for folder in folders:
        rows = defaultdict(list)
        for row in rng.permutation(np.array(read_slices(folder), dtype=object)):
            rows[row.patient, row.tumour].append(row)
        share = SLICES // len(rows)
        slices[folder.name] = [row for each in rows.values() for row in each[:share]]
    return replace(manifest, records=tuple(chosen)), TRAINING * len(manifest.labels), slices


def score(sample: Sample, name: str, trunk: FrozenPart) -> dict[str, np.ndarray]:
    """Return whether each scan of fold 1 is classified rightly, and the AUC within each patient."""
    manifest, train = sample.manifest, sample.train
    recipe = make_recipe(sample, name)
    features = activations(trunk, decode_scans(manifest, recipe, sample.cache))
    pooled = np.concatenate([features.mean(axis=(1, 2)), features.max(axis=(1, 2))], axis=1)
    labels = manifest.label_indices
    regression = LogisticRegression(C=0.1, max_iter=500, class_weight="balanced")
    classes = make_pipeline(StandardScaler(), regression).fit(pooled[:train], labels[:train])
    results = {
        "accuracy": (classes.predict(pooled[train:]) == labels[train:]).astype(float),
        "accuracy_groups": manifest.group_indices[train:],
    }
    covered, healthy = coverage(sample, recipe, features.shape[1]), labels[:train] == manifest.labels.healthy_index
    positions = fit_positions(features[:train], covered, healthy, sample.seed)
    for folder, rows in sample.folders.items():
        inputs = np.stack([recipe(read_scan(row.path)) for row in rows])
        maps = activations(trunk, inputs)
        logits = positions(maps).reshape(len(maps), -1)
        results[folder] = within_patients(rows, np.sort(logits, axis=1)[:, -STRONGEST:].mean(axis=1))
    return results


def make_recipe(sample: Sample, name: str) -> Recipe:
    """Make the preprocessing; landmarks are learnt from the training scans."""
    if PLANS[name].get("contrast") != "nyul":
        return Recipe(**PLANS[name])
    levels = scan_deciles(sample.manifest, Recipe(), sample.cache)
    return Recipe(contrast="nyul", landmarks=mean_landmarks(levels[: sample.train]))


def activations(trunk: FrozenPart, inputs: np.ndarray) -> np.ndarray:
    """Compute the activations at the cut of network inputs ``(n, h, w)``."""
    starts = range(0, len(inputs), BATCH)
    return np.concatenate([trunk(inputs[at : at + BATCH, ..., np.newaxis].astype(np.float32)) for at in starts])


def coverage(sample: Sample, recipe: Recipe, cells: int) -> np.ndarray:
    """Return the share of each position of the training scans that an outline covers."""
    packed = decode_outlines(sample.manifest, recipe, sample.cache)[: sample.train]
    masks, step = np.unpackbits(packed, axis=-1), recipe.size // cells
    return np.asarray(masks.reshape(len(masks), cells, step, cells, step).mean(axis=(2, 4)))


def fit_positions(features: np.ndarray, covered: np.ndarray, healthy: np.ndarray, seed: int) -> Positions:
    """Fit the head of positions, where the outline is known; positions in and outside tumours weigh equally."""
    known = healthy | covered.any(axis=(1, 2))
    features, inside = features[known], (covered[known] > 0.5).astype(np.float32)  # noqa: PLR2004 - half
    mean, deviation = features.mean(axis=(0, 1, 2)), features.std(axis=(0, 1, 2)) + 1e-6
    weights = np.where(inside > 0, 0.5 / inside.mean(), 0.5 / (1 - inside.mean()))
    keras.utils.set_random_seed(seed)
    head = keras.Sequential(
        [
            keras.Input(features.shape[1:]),
            *(keras.layers.Conv2D(CHANNELS, 3, padding="same", activation="relu") for _ in range(2)),
            keras.layers.Conv2D(1, 1),
        ]
    )
    head.compile(keras.optimizers.Adam(1e-3), keras.losses.BinaryCrossentropy(from_logits=True))
    head.fit(
        (features - mean) / deviation, inside[..., None], BATCH, EPOCHS, sample_weight=weights[..., None], verbose=0
    )
    return lambda maps: np.asarray(head.predict((maps - mean) / deviation, verbose=0))


def within_patients(rows: Sequence[SliceRow], scores: np.ndarray) -> np.ndarray:
    """Return the AUC within each patient with slices of both kinds, in the patients' order."""
    patients, tumour = np.array([row.patient for row in rows]), np.array([row.tumour for row in rows])
    both = [name for name in np.unique(patients) if 0 < tumour[patients == name].mean() < 1]
    return np.array([area_under_roc(tumour[patients == name], scores[patients == name]) for name in both])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), [Path(folder) for folder in sys.argv[5:]])
