"""Bundles meet another site: the same unseen pictures for all of them, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from brainslice.arrays import Scores
from brainslice.bundle.adaptation import Adaptation, read_adaptation
from brainslice.config import Config
from brainslice.dataset.external_site import ExternalSite, SourceData, read_external_site, site_inputs
from brainslice.dataset.manifest import Manifest
from brainslice.decision.operating_point import Criterion, Target
from brainslice.decision.threshold_search import search_threshold
from brainslice.errors import CalibrationError, DatasetError, LeakError, UsageError
from brainslice.evaluation.site_comparison import ComparisonRow, Method, compare_methods
from brainslice.evaluation.source_controlled import score_slices
from brainslice.evaluation.tuning_data import split_of, tumour_scores, validation_scans
from brainslice.inference.predictor import Predictor
from brainslice.metrics.classification import accuracy, confusion, macro_f1
from brainslice.metrics.source_controlled import SourceControlled
from brainslice.paths import ProjectPaths
from brainslice.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class ExternalValidation:
    """What bundles came to at another site.

    Attributes:
        site: What was scored and what was left out.
        entries: Each bundle at its own threshold and, where it can be had, at one fixed on its source.
        warnings: What must be said beside the figures, such as ``phantom``.
        specificity: What the threshold fixed on source data reaches there.
        classes: Accuracy and macro F1 over the classes, by bundle, where the site's folders tell classes.
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
        """Write everything in plain types."""
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
    places: ProjectPaths,
    config: Config,
    progress: Progress = silent,
    slices: Sequence[Path] = (),
) -> ExternalValidation:
    """Score bundles on another site's pictures that none of them was made from.

    A bundle that was adapted to this very site is judged by its out-of-fold answers: its network has seen the scans.

    Args:
        bundles: Their folders; the first is what the others are tested against.
        folder: The site's scans.
        places: The project whose prepared set the bundles were made from.
        config: ``adapt.specificity`` is what the threshold fixed on source data reaches there.
        progress: Called with the step and how far it is.
        slices: Folders with ``slices.csv`` for the source-controlled test.

    Raises:
        BundleError: A bundle is damaged.
        UsageError: Two bundles tell different classes.
        DatasetError: The folder is of no use, or holds nothing unseen of one of the two kinds.
    """
    opened = [_open(path) for path in bundles]
    labels = opened[0].predictor.bundle.labels
    if any(each.predictor.bundle.labels != labels for each in opened):
        msg = "bundles that are compared must tell the same classes; score them one by one"
        raise UsageError(msg)
    site = read_external_site(folder, labels, _source(opened, places), progress)
    contestants: list[Method] = []
    classes: dict[str, dict[str, float]] = {}
    for each in opened:
        logits = each.predictor.score(site_inputs(site, each.predictor.recipe, progress), progress).logits
        contestants += _contestants(each, site, tumour_scores(each.predictor, logits), places, config, progress)
        if not site.binary and each.adaptation is None:
            truth = np.array([labels.index(scan.label) for scan in site.scans], dtype=np.int64)
            matrix = confusion(truth, np.asarray(logits.argmax(axis=1)), len(labels))
            classes[each.name] = {"accuracy": accuracy(matrix), "macro_f1": macro_f1(matrix)}
    marks = dict.fromkeys(mark for each in opened for mark in each.predictor.bundle.info.warnings)
    digests = {each.name: each.predictor.bundle.info.digest for each in opened}
    entries = compare_methods(site.tumours, site.groups, contestants)
    controlled = {
        each.name: tuple(score_slices(one, each.predictor, progress) for one in slices) for each in opened if slices
    }
    return ExternalValidation(site, entries, tuple(marks), config.adapt.specificity, classes, digests, controlled)


def _open(path: Path) -> _Bundle:
    predictor = Predictor.open(path)
    return _Bundle(path.resolve().name, predictor, read_adaptation(predictor.bundle))


def _source(opened: Sequence[_Bundle], places: ProjectPaths) -> SourceData | None:
    """Find what the bundles were made from; None where that cannot be told of one of them."""
    try:
        manifest = Manifest.read(places.data)
        splits = [split_of(each.predictor.bundle, manifest) for each in opened]
    except (DatasetError, LeakError):
        return None
    rows = np.unique(np.concatenate([np.concatenate([split.train, split.validation]) for split in splits]))
    return SourceData(manifest, rows, places.cache)


def _contestants(
    each: _Bundle, site: ExternalSite, chances: Scores, places: ProjectPaths, config: Config, progress: Progress
) -> list[Method]:
    threshold = each.predictor.threshold
    if each.adaptation is not None:
        return [_out_of_fold(each, each.adaptation, site, chances)]
    own = Method(each.name, chances, chances >= threshold, f"its own threshold, P(tumour) from {threshold:.3g}")
    goal = Target(Criterion.SPECIFICITY, config.adapt.specificity)
    try:
        fixed = search_threshold(goal, validation_scans(places, each.predictor, progress).tuning).threshold
    except (DatasetError, CalibrationError, LeakError):
        return [own]
    words = f"P(tumour) from {fixed:.3g}, {config.adapt.specificity:.0%} specificity on source validation scans"
    return [own, Method(f"{each.name}, source threshold", chances, chances >= fixed, words)]


def _out_of_fold(each: _Bundle, adaptation: Adaptation, site: ExternalSite, chances: Scores) -> Method:
    """Take the answers of models that did not see the scans; the network itself answers for scans it has not seen."""
    answers = {answer.pixels: answer for answer in adaptation.out_of_fold}
    known = [answers.get(scan.pixel_hash) for scan in site.scans]
    told = np.array([chance if a is None else a.tumour_probability for a, chance in zip(known, chances, strict=True)])
    called = chances >= each.predictor.threshold
    called = np.array([own if a is None else a.predicted_tumour for a, own in zip(known, called, strict=True)])
    count = sum(answer is not None for answer in known)
    note = f"{count} of {len(known)} answers are out of fold: those scans trained it"
    return Method(each.name, told, called, note, adaptation.source_macro_f1_after)
