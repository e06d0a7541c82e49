"""Functions from a data set to a bundle and its report: prepare, audit, train, evaluate, calibrate, adapt."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from brainslice.api.reports import write_report
from brainslice.api.settings import (
    EVALUATION_LIBRARIES,
    TRAINING_LIBRARIES,
    AnyPath,
    Settings,
    open_project,
    read_settings,
)
from brainslice.arrays import Labels, Logits
from brainslice.lazy import require_extra
from brainslice.paths import writes_project
from brainslice.progress import Progress, silent

if TYPE_CHECKING:
    from brainslice.dataset.audit.report import AuditReport
    from brainslice.dataset.prepared import PreparedDataset
    from brainslice.decision.temperature import Temperature
    from brainslice.evaluation.error_analysis import ErrorAnalysis
    from brainslice.evaluation.scoring import ScoredTestSet
    from brainslice.training.adaptation.pipeline import AdaptationResult
    from brainslice.training.cross_validation import CrossValidation
    from brainslice.training.pipeline import TrainingResult


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EvaluationResult:
    """The evaluation of a bundle on its test set.

    Attributes:
        test: Scores with intervals, and the arrays they come from.
        errors: The misclassified scans and the rates at each operating point.
        reports: The folder of figures and tables.
        page: The report as one HTML page.
    """

    test: ScoredTestSet
    errors: ErrorAnalysis
    reports: Path
    page: Path

    def __repr__(self) -> str:
        """Show the number of scans and the accuracy."""
        evaluation = self.test.evaluation
        return f"<EvaluationResult n={evaluation.n} accuracy={evaluation.score('accuracy').value:.3f}>"


def prepare(
    source: AnyPath,
    root: AnyPath = ".",
    *,
    config: Settings = None,
    val_size: float | None = None,
    labels: AnyPath | None = None,
    copy: bool = False,
    progress: Progress = silent,
) -> PreparedDataset:
    """Prepare a data set for training: normalise class names, group related scans, split.

    Args:
        source: A folder or zip: Training/Testing, train/val/test, or class folders.
        root: The project's folder.
        config: The settings.
        val_size: The share of the training scans that validates in the official split; ``data.valid_split`` where None.
        labels: A table with the columns path and label, in place of class folders.
        copy: Copy the scans instead of linking to them.
        progress: Called with step, done and total.

    Raises:
        DatasetError: The source is not a data set of these classes.
        UsageError: A share or the number of folds is out of range.
    """
    from brainslice.dataset.preparation import PreparationOptions, prepare_dataset

    labels_table = None if labels is None else Path(labels)
    options = PreparationOptions.of(
        read_settings(root, config), val_size=val_size, copy=copy, labels_table=labels_table
    )
    return prepare_dataset(Path(source), Path(root), options, progress)


def audit(folder: AnyPath, against: AnyPath | None = None, *, progress: Progress = silent) -> AuditReport:
    """Find duplicates, leaks across splits, unreadable files and shortcuts in a data set.

    Args:
        folder: A folder of scans: with splits, with classes, or flat.
        against: Another folder; scans that are in both are listed.
        progress: Called with step, done and total.

    Raises:
        DatasetError: The folder holds no scans.
    """
    from brainslice.dataset.audit.audit import audit_folder

    return audit_folder(Path(folder), None if against is None else Path(against), progress)


@writes_project("training")
def train(
    root: AnyPath = ".", *, config: Settings = None, accept_leaks: bool = False, progress: Progress = silent
) -> TrainingResult:
    """Train a network on the prepared set, calibrate it and write the bundle ``models/bundle``.

    An existing bundle is kept as ``models/bundle.previous``. An interrupted training resumes.

    Args:
        root: The project's folder.
        config: The settings.
        accept_leaks: Train although related scans cross the split; the results are marked as leaky.
        progress: Called with step, done and total.

    Raises:
        MissingExtraError: The training libraries are not installed.
        DatasetError: There is no prepared set.
        LeakError: Groups cross the split.
    """
    require_extra("train", "training", *TRAINING_LIBRARIES)
    from brainslice.report.figures.history import draw_history
    from brainslice.report.writer import write_training_run
    from brainslice.training.pipeline import train as train_network

    started = time.monotonic()
    chosen, paths = open_project(root, config)
    trained = train_network(paths, chosen, accept_leaks=accept_leaks, progress=progress)
    info, origin = trained.bundle.info, trained.bundle.info.provenance
    of = (
        f"{origin.dataset}, {origin.protocol} protocol: {origin.train_images} scans of {origin.train_groups} groups "
        f"train, {origin.validation_images} of {origin.validation_groups} validate."
    )
    draw_history(trained.epochs, paths.reports, info.warnings, of)
    write_training_run(paths.reports, chosen, time.monotonic() - started)
    return trained


@writes_project("cross-validating")
def cross_validate(
    root: AnyPath = ".", *, config: Settings = None, folds: int | None = None, progress: Progress = silent
) -> CrossValidation:
    """Train and test once for each fold, by group; an interrupted run resumes.

    Args:
        root: The project's folder.
        config: The settings.
        folds: How many folds; ``data.folds`` where None.
        progress: Called with step, done and total.

    Raises:
        MissingExtraError: The training libraries are not installed.
        DatasetError: There is no prepared set, or it holds fewer groups than folds.
    """
    require_extra("train", "cross-validation", *TRAINING_LIBRARIES)
    from brainslice.training.cross_validation import cross_validate as run_folds

    chosen = read_settings(root, config)
    changed = {"protocol": "clean", "folds": chosen.data.folds if folds is None else folds}
    data = type(chosen.data).model_validate(chosen.data.model_dump() | changed)
    result = run_folds(Path(root), chosen.model_copy(update={"data": data}), progress)
    write_report(root)
    return result


@writes_project("evaluating")
def evaluate(
    root: AnyPath = ".",
    *,
    config: Settings = None,
    overlays: int = 8,
    slices: Iterable[AnyPath] = (),
    progress: Progress = silent,
) -> EvaluationResult:
    """Score the project's bundle on its test set, and write figures and tables to ``reports``.

    Args:
        root: The project's folder.
        config: The settings it was trained with.
        overlays: How many heat maps to draw.
        slices: Folders with ``slices.csv`` for the source-controlled test.
        progress: Called with step, done and total.

    Raises:
        MissingExtraError: scikit-learn, scipy or matplotlib is not installed.
        BundleError: There is no bundle, or it was altered.
        DatasetError: The bundle was trained on another split or other scans.
    """
    require_extra("train", "evaluation", *EVALUATION_LIBRARIES)
    from brainslice.evaluation.error_analysis import analyse_errors
    from brainslice.evaluation.explanation import explain
    from brainslice.evaluation.scoring import evaluate_test_set
    from brainslice.report.writer import write_reports

    started = time.monotonic()
    chosen, paths = open_project(root, config)
    test = evaluate_test_set(paths, chosen, progress, slices=[Path(each) for each in slices])
    explained = explain(test, paths.reports / "gradcam", overlays, progress)
    errors = analyse_errors(test, progress)
    write_reports(test, explained, paths.reports, errors, time.monotonic() - started)
    return EvaluationResult(test, errors, paths.reports, write_report(root))


def calibrate(logits: Logits, labels: Labels) -> Temperature:
    """Fit the temperature of temperature scaling on held-out logits.

    Args:
        logits: Raw scores ``(n, k)`` of scans that did not train the network.
        labels: Their classes ``(n,)``, each in ``[0, k)``.

    Raises:
        CalibrationError: The labels allow no finite temperature.

    Reference:
        Guo et al., On calibration of modern neural networks, 2017.
    """
    from brainslice.decision.temperature import fit_temperature

    return fit_temperature(logits, labels)


@writes_project("adapting")
def adapt(
    data: AnyPath,
    root: AnyPath = ".",
    *,
    bundle: AnyPath | None = None,
    config: Settings = None,
    accept_forgetting: bool = False,
    progress: Progress = silent,
) -> AdaptationResult:
    """Fine-tune a bundle for another site, write a new bundle and ``reports/external``; every score is out of fold.

    Args:
        data: The site's folder, ``yes`` and ``no`` or class folders.
        root: The project's folder.
        bundle: The bundle to start from; the project's own where None.
        config: The settings.
        accept_forgetting: Write the bundle although it loses more on its source than ``adapt.max_forgetting``.
        progress: Called with step, done and total.

    Raises:
        MissingExtraError: The training libraries are not installed.
        DatasetError: The folder holds no such scans, or there is no prepared set.
        ForgettingError: The adapted network lost more on its source than allowed.
    """
    require_extra("train", "adaptation", *TRAINING_LIBRARIES)
    from brainslice.bundle.adaptation import read_adaptation
    from brainslice.report.external_site import adaptation_tables, write_adaptation
    from brainslice.training.adaptation.pipeline import adapt as adapt_network

    chosen, paths = open_project(root, config)
    base = paths.bundle if bundle is None else Path(bundle)
    adapted = adapt_network(paths, chosen, Path(data), base, accept_forgetting=accept_forgetting, progress=progress)
    stored = read_adaptation(adapted.bundle)
    content = {} if stored is None else stored.model_dump(mode="json", exclude={"out_of_fold"})
    write_adaptation(paths.reports / "external", Path(data).resolve().name, content, adaptation_tables(adapted))
    write_report(root)
    return adapted
