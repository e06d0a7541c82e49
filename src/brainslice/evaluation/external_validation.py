"""Score bundles on scans of another site that trained none of them, and compare them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from brainslice.arrays import Decisions, Groups, Scores
from brainslice.bundle import Adaptation, ModelBundle, read_adaptation
from brainslice.config import Config
from brainslice.dataset import ExternalSite, Manifest, SourceData, read_external_site, site_inputs
from brainslice.decision import Criterion, Target, search_threshold
from brainslice.errors import CalibrationError, DatasetError, LeakError, UsageError
from brainslice.evaluation.source_controlled import score_slices
from brainslice.evaluation.tuning_data import split_of, tumour_scores, validation_scans
from brainslice.inference import Predictor
from brainslice.metrics import (
    BinaryScores,
    McNemar,
    SourceControlled,
    accuracy,
    binary_scores,
    compare_predictions,
    confusion,
    macro_f1,
)
from brainslice.paths import ProjectPaths
from brainslice.progress import Progress, silent


@dataclass(frozen=True, slots=True, eq=False)
class Method:
    """A binary classifier's predictions.

    Attributes:
        name: Shown in tables.
        probabilities: P(tumour) of each scan ``(n,)``.
        predictions: Which scans are predicted to show a tumour ``(n,)``.
        note: Where the threshold comes from, and other conditions.
        source_macro_f1: Macro F1 on source scans that trained nothing, where it was measured.
    """

    name: str
    probabilities: Scores
    predictions: Decisions
    note: str
    source_macro_f1: float | None = None


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """Metrics of one method.

    Attributes:
        name: The method's name.
        scores: Metrics of tumour detection.
        against_first: McNemar's test against the first method; None for that one itself.
        note: Where the threshold comes from, and other conditions.
        source_macro_f1: Macro F1 on source scans that trained nothing, where it was measured.
    """

    name: str
    scores: BinaryScores
    against_first: McNemar | None
    note: str
    source_macro_f1: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the metrics as JSON types."""
        return {
            "name": self.name,
            **self.scores.to_json(),
            "mcnemar_against_first": None if self.against_first is None else asdict(self.against_first),
            "source_macro_f1": self.source_macro_f1,
            "note": self.note,
        }


def compare_methods(tumours: Decisions, groups: Groups, methods: Sequence[Method]) -> tuple[ComparisonRow, ...]:
    """Score at least one method on the same scans ``(n,)``, and test each against the first.

    Raises:
        UsageError: All scans are tumours, or none is.
    """
    rows = []
    for index, each in enumerate(methods):
        scores = binary_scores(tumours, each.probabilities, each.predictions, groups)
        test = compare_predictions(tumours, methods[0].predictions, each.predictions, groups) if index else None
        rows.append(ComparisonRow(each.name, scores, test, each.note, each.source_macro_f1))
    return tuple(rows)


@dataclass(frozen=True, slots=True)
class ExternalValidation:
    """Results of bundles on another site.

    Attributes:
        site: The scans scored, and counts of those left out.
        entries: Each bundle at its own threshold and, where possible, at one fixed on its source.
        warnings: The bundles' warnings, such as ``phantom``.
        specificity: Specificity of the fixed threshold on source data.
        classes: Accuracy and macro F1 over the classes, by bundle, where the site's folders name classes.
        bundles: The bundles' digests, by name.
        source_controlled: Results on the folders of slices, by bundle.
    """

    site: ExternalSite
    entries: tuple[ComparisonRow, ...]
    warnings: tuple[str, ...]
    specificity: float
    classes: dict[str, dict[str, float]]
    bundles: dict[str, str]
    source_controlled: dict[str, tuple[SourceControlled, ...]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the results as JSON types."""
        site = self.site
        return {
            "site": site.name,
            "n": len(site.scans),
            "tumours": int(site.tumours.sum()),
            "groups": len(np.unique(site.groups)),
            "files": site.files,
            "copies": site.copies,
            "known_to_the_model": None if site.overlapping is None else list(site.overlapping),
            "conflicts": site.conflicts,
            "unreadable": len(site.unreadable),
            "warnings": list(self.warnings),
            "source_specificity": self.specificity,
            "bundles": self.bundles,
            "source_controlled": {
                name: [test.to_json() for test in tests] for name, tests in self.source_controlled.items()
            },
            "entries": [entry.to_json() for entry in self.entries],
            "classes": self.classes,
        }


@dataclass(frozen=True, slots=True, eq=False)
class _Bundle:
    name: str
    predictor: Predictor
    adaptation: Adaptation | None


def validate_external(
    bundles: Sequence[Path],
    folder: Path,
    paths: ProjectPaths,
    config: Config,
    progress: Progress = silent,
    slices: Sequence[Path] = (),
) -> ExternalValidation:
    """Score bundles on another site's scans that none of them was made from.

    A bundle that was adapted to this very site is scored by its out-of-fold predictions: the scans trained its network.

    Args:
        bundles: Their folders; the first is what the others are tested against.
        folder: The site's scans.
        paths: The project whose prepared set the bundles were made from.
        config: ``adapt.specificity`` is the specificity of the threshold fixed on source data.
        progress: Called with the step and how far it is.
        slices: Folders with ``slices.csv`` for the source-controlled test.

    Raises:
        BundleError: A bundle is damaged.
        UsageError: Two bundles have different classes.
        DatasetError: The folder is invalid, or has no new tumours or no new healthy scans.
    """
    opened = [_open(path) for path in bundles]
    labels = opened[0].predictor.bundle.labels
    if any(each.predictor.bundle.labels != labels for each in opened):
        msg = "bundles that are compared must have the same classes; score them one by one"
        raise UsageError(msg)
    site = read_external_site(folder, labels, source_data([each.predictor.bundle for each in opened], paths), progress)
    methods: list[Method] = []
    classes: dict[str, dict[str, float]] = {}
    for each in opened:
        logits = each.predictor.score(site_inputs(site, each.predictor.recipe, progress), progress).logits
        methods += _methods(each, site, tumour_scores(each.predictor, logits), paths, config, progress)
        if not site.binary and each.adaptation is None:
            truth = np.array([labels.index(scan.label) for scan in site.scans], dtype=np.int64)
            matrix = confusion(truth, np.asarray(logits.argmax(axis=1)), len(labels))
            classes[each.name] = {"accuracy": accuracy(matrix), "macro_f1": macro_f1(matrix)}
    warnings = dict.fromkeys(name for each in opened for name in each.predictor.bundle.info.warnings)
    digests = {each.name: each.predictor.bundle.info.digest for each in opened}
    entries = compare_methods(site.tumours, site.groups, methods)
    controlled = {
        each.name: tuple(score_slices(one, each.predictor, progress) for one in slices) for each in opened if slices
    }
    return ExternalValidation(site, entries, tuple(warnings), config.adapt.specificity, classes, digests, controlled)


def _open(path: Path) -> _Bundle:
    predictor = Predictor.open(path)
    return _Bundle(path.resolve().name, predictor, read_adaptation(predictor.bundle))


def source_data(bundles: Sequence[ModelBundle], paths: ProjectPaths) -> SourceData | None:
    """Find the scans that trained or validated the bundles; None where one bundle's split is unknown."""
    try:
        manifest = Manifest.read(paths.data)
        splits = [split_of(bundle, manifest) for bundle in bundles]
    except (DatasetError, LeakError):
        return None
    rows = np.unique(np.concatenate([part for split in splits for part in (split.train, split.validation)]))
    return SourceData(manifest, rows, paths.cache)


def _methods(
    each: _Bundle, site: ExternalSite, scores: Scores, paths: ProjectPaths, config: Config, progress: Progress
) -> list[Method]:
    threshold = each.predictor.threshold
    if each.adaptation is not None:
        return [_out_of_fold(each, each.adaptation, site, scores)]
    own = Method(each.name, scores, scores >= threshold, f"its own threshold, P(tumour) from {threshold:.3g}")
    target = Target(Criterion.SPECIFICITY, config.adapt.specificity)
    try:
        fixed = search_threshold(target, validation_scans(paths, each.predictor, progress).tuning).threshold
    except (DatasetError, CalibrationError, LeakError):
        return [own]
    note = f"P(tumour) from {fixed:.3g}, {config.adapt.specificity:.0%} specificity on source validation scans"
    return [own, Method(f"{each.name}, source threshold", scores, scores >= fixed, note)]


def _out_of_fold(each: _Bundle, adaptation: Adaptation, site: ExternalSite, scores: Scores) -> Method:
    """Use the out-of-fold predictions of scans that trained the network, and its own predictions for the others."""
    by_pixels = {answer.pixels: answer for answer in adaptation.out_of_fold}
    stored = [by_pixels.get(scan.pixel_hash) for scan in site.scans]
    probabilities = [own if each is None else each.tumour_probability for each, own in zip(stored, scores, strict=True)]
    own_predictions = scores >= each.predictor.threshold
    predictions = [
        own if each is None else each.predicted_tumour for each, own in zip(stored, own_predictions, strict=True)
    ]
    count = sum(answer is not None for answer in stored)
    note = f"{count} of {len(stored)} answers are out of fold: those scans trained it"
    return Method(each.name, np.array(probabilities), np.array(predictions), note, adaptation.source_macro_f1_after)
