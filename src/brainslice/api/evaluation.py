"""Functions that score bundles (evaluate, validate, lesion_test, measure_robustness), and their report."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from brainslice.api.settings import EVALUATION_LIBRARIES, AnyPath, Settings, open_project
from brainslice.lazy import require_extra
from brainslice.paths import ProjectPaths, writes_project
from brainslice.progress import Progress, silent

if TYPE_CHECKING:
    from brainslice.config import Config
    from brainslice.evaluation import ErrorAnalysis, ExternalValidation, Robustness, ScoredTestSet
    from brainslice.metrics import SourceControlled


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


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ValidationResult:
    """The scores of bundles on another site's scans.

    Attributes:
        validation: The scores with intervals, and counts of the scans left out.
        files: The results as JSON and as Markdown.
        page: The report as one HTML page.
    """

    validation: ExternalValidation
    files: tuple[Path, Path]
    page: Path

    def __repr__(self) -> str:
        """Show the site and the number of scans."""
        site = self.validation.site
        return f"<ValidationResult {site.name} n={len(site.scans)}>"


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
    from brainslice.evaluation import analyse_errors, evaluate_test_set, explain
    from brainslice.report import write_reports

    started = time.monotonic()
    chosen, paths = open_project(root, config)
    test = evaluate_test_set(paths, chosen, progress, slices=[Path(each) for each in slices])
    explained = explain(test, paths.reports / "gradcam", overlays, progress)
    errors = analyse_errors(test, progress)
    write_reports(test, explained, paths.reports, errors, time.monotonic() - started)
    _track(test, chosen, paths)
    return EvaluationResult(test, errors, paths.reports, write_report(root))


def _track(test: ScoredTestSet, config: Config, paths: ProjectPaths) -> None:
    """Add the scores of a test set to the run of its bundle's training, where a tracker is configured."""
    if config.log.tracker == "none":
        return
    from brainslice.training import TrackedRun, track

    info = test.predictor.bundle.info
    metrics = {f"test_{score.name}": score.value for score in test.evaluation.scores}
    for note in track(TrackedRun(info.name, info.digest, {}, (), metrics), paths.root, config.log):
        warnings.warn(note, stacklevel=2)


@writes_project("validating")
def validate(
    data: AnyPath,
    root: AnyPath = ".",
    *,
    bundles: Iterable[AnyPath] = (),
    config: Settings = None,
    slices: Iterable[AnyPath] = (),
    progress: Progress = silent,
) -> ValidationResult:
    """Score bundles on another site's scans, without duplicates and training scans, and write ``reports/external``.

    Args:
        data: The site's folder, ``yes`` and ``no`` or class folders.
        root: The project's folder.
        bundles: The bundles; without any, the project's own and the one adapted to this site.
        config: The settings.
        slices: Folders with ``slices.csv`` for the source-controlled test.
        progress: Called with step, done and total.

    Raises:
        MissingExtraError: scikit-learn, scipy or matplotlib is not installed.
        BundleError: There is no bundle, or it was altered.
        DatasetError: The folder holds no such scans, or none that are new to the bundle.
    """
    require_extra("train", "validation", *EVALUATION_LIBRARIES)
    from brainslice.bundle import adapted_name
    from brainslice.evaluation import validate_external
    from brainslice.report import write_external

    chosen, paths = open_project(root, config)
    folder = Path(data)
    adapted = paths.models / adapted_name(folder.resolve().name)
    own = [paths.bundle, *([adapted] if adapted.is_dir() else [])]
    sources = [Path(each) for each in bundles] or own
    found = validate_external(sources, folder, paths, chosen, progress, [Path(each) for each in slices])
    return ValidationResult(found, write_external(found, paths.reports / "external"), write_report(paths.root))


def lesion_test(
    folders: Iterable[AnyPath],
    *,
    bundle: AnyPath | None = None,
    output: AnyPath | None = None,
    progress: Progress = silent,
) -> tuple[SourceControlled, ...]:
    """Score slices with and without tumour of the same patients, whose source cannot tell the classes apart.

    Args:
        folders: Folders with ``slices.csv``: path, patient, tumour and optionally mask.
        bundle: The bundle; the one that ships with the package where None.
        output: A JSON file for the results.
        progress: Called with step, done and total.

    Returns:
        The scores on each folder.

    Raises:
        MissingExtraError: scikit-learn or scipy is not installed.
        DatasetError: A table is missing or invalid.
        UnreadableScanError: A scan or a mask cannot be read.
        BundleError: The bundle is incomplete or altered.
    """
    require_extra("train", "the lesion test", "sklearn", "scipy")
    from brainslice.evaluation import read_slices, score_slices
    from brainslice.files import write_json
    from brainslice.inference import Predictor

    paths = [Path(each) for each in folders]
    for folder in paths:
        read_slices(folder)
    predictor = Predictor.open(bundle)
    found = tuple(score_slices(folder, predictor, progress) for folder in paths)
    if output is not None:
        scores = {"bundle": predictor.bundle.info.digest, "source_controlled": [each.to_json() for each in found]}
        write_json(Path(output), scores, "lesion-test")
    return found


@writes_project("measuring robustness")
def measure_robustness(
    root: AnyPath = ".",
    *,
    data: AnyPath | None = None,
    bundle: AnyPath | None = None,
    sample: int = 200,
    config: Settings = None,
    progress: Progress = silent,
) -> Robustness:
    """Score a bundle on scans made worse in ten ways at five severities, and write ``reports/robustness.json``.

    An interrupted sweep resumes. Test scans are logged as any other access to them.

    Args:
        root: The project's folder.
        data: A folder with class folders, or ``yes`` and ``no``; the test scans of the bundle's split where None.
        bundle: The bundle's folder; the project's own, or the shipped one, where None.
        sample: How many scans to draw; 0 for all.
        config: The settings; ``seed`` draws the sample and the changes.
        progress: Called with step, done and total.

    Raises:
        MissingExtraError: scikit-learn, scipy or matplotlib is not installed.
        BundleError: There is no bundle, or it was altered.
        DatasetError: The bundle was trained on another set than the one prepared here, or the folder is invalid.
        UsageError: The sample is below 0.
    """
    require_extra("train", "the robustness sweep", *EVALUATION_LIBRARIES)
    from brainslice.evaluation import measure_robustness as sweep
    from brainslice.report import write_robustness

    chosen, paths = open_project(root, config)
    folder, own = (None if given is None else Path(given) for given in (data, bundle))
    result = sweep(paths, chosen, data=folder, bundle=own, sample=sample, progress=progress)
    write_robustness(result, paths.reports, None if folder is None else result.scans.name)
    write_report(root)
    return result


def write_report(root: AnyPath = ".", *, language: str = "en", output: AnyPath | None = None) -> Path:
    """Write what a project's reports hold as one HTML page that needs no other file.

    Args:
        root: The project's folder, or its folder ``reports``.
        language: ``en`` or ``es``.
        output: The file; ``report.html`` in ``reports`` (``report.es.html`` in Spanish) where None.

    Raises:
        MissingExtraError: jinja2 is not installed.
        DatasetError: There are no results.
        UsageError: There is no such language.
    """
    require_extra("train", "the report", "jinja2")
    from brainslice.report import reports_folder, write_page

    return write_page(reports_folder(Path(root)), language, None if output is None else Path(output))
