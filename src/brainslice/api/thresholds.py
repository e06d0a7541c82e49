"""Search for operating points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from brainslice.api.settings import EVALUATION_LIBRARIES, AnyPath, Settings, open_project
from brainslice.decision import Criterion, Target, find_point
from brainslice.errors import UsageError
from brainslice.lazy import require_extra
from brainslice.paths import project_lock, project_of, writes_project
from brainslice.progress import Progress, silent

if TYPE_CHECKING:
    from brainslice.bundle import ModelBundle
    from brainslice.evaluation import OperatingPointRequest, OperatingPointResult, TuningScans


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ThresholdSearch:
    """Operating points found on tuning scans.

    Attributes:
        points: One result for each request.
        scans: The tuning scans and their scores.
        bundle: The bundle; with the points where they were saved.
        saved: Whether the points were written into the bundle.
        reports: The folder of the points and of the decision curve.
    """

    points: tuple[OperatingPointResult, ...]
    scans: TuningScans
    bundle: ModelBundle
    saved: bool
    reports: Path

    def __repr__(self) -> str:
        """Show each point with its threshold."""
        found = ", ".join(f"{each.point.name}={each.point.threshold:.4g}" for each in self.points)
        return f"<ThresholdSearch {found}{' (saved)' if self.saved else ''}>"


@writes_project("searching a threshold")
def find_threshold(
    goals: float | Target | Sequence[OperatingPointRequest] = 0.95,
    root: AnyPath = ".",
    *,
    bundle: AnyPath | None = None,
    data: AnyPath | None = None,
    config: Settings = None,
    save: bool = False,
    progress: Progress = silent,
) -> ThresholdSearch:
    """Find thresholds on P(tumour) with scans that neither trained nor test the model.

    Args:
        goals: The sensitivity to reach, another target, or several requests.
        root: The project's folder.
        bundle: The bundle; the project's own where None.
        data: Tune on half of this folder and report on the other half; the validation scans where None.
        config: The settings.
        save: Write the points into the bundle; its digest changes.
        progress: Called with step, done and total.

    Raises:
        MissingExtraError: scipy, scikit-learn or matplotlib is not installed.
        UsageError: The points are to be saved into the bundle that ships with the package.
        CalibrationError: The scans are all of one kind, or too few for a guarantee.
        LeakError: The folder holds test scans of the bundle.
    """
    require_extra("train", "threshold search", *EVALUATION_LIBRARIES)
    from brainslice.evaluation import (
        OperatingPointRequest,
        find_operating_point,
        folder_scans,
        tuning_decision_curve,
        validation_scans,
    )
    from brainslice.inference import Predictor
    from brainslice.report import write_operating_points

    chosen, paths = open_project(root, config)
    target = Target(Criterion.SENSITIVITY, goals) if isinstance(goals, float) else goals
    requests = [OperatingPointRequest(target)] if isinstance(target, Target) else target
    folder = paths.bundle if bundle is None else Path(bundle)
    if save:
        _refuse_shipped(folder)
    predictor = Predictor.open(folder)
    if data is None:
        scans = validation_scans(paths, predictor, progress)
    else:
        scans = folder_scans(Path(data), paths, predictor, chosen.seed, progress)
    # All points are found before one is stored: a failing request leaves the bundle unchanged.
    found = tuple(find_operating_point(request, scans) for request in requests)
    curve = tuning_decision_curve(scans, requests[0].prevalence)
    kept = _store(predictor.bundle, found, scans) if save else predictor.bundle
    reports = paths.reports / "operating_points"
    write_operating_points(found, curve, scans.reported_description, kept.info.warnings, reports)
    return ThresholdSearch(found, scans, kept, save, reports)


def use_operating_point(bundle: AnyPath, name: str) -> ModelBundle:
    """Make a stored operating point the bundle's own threshold; its digest changes.

    Args:
        bundle: The bundle's folder.
        name: The name of the point.

    Raises:
        UsageError: There is no such point, or the bundle is the one that ships with the package.
    """
    from brainslice.bundle import open_bundle, update_bundle

    folder = Path(bundle)
    _refuse_shipped(folder)
    with project_lock(project_of(folder), "setting a threshold"):
        point = find_point(open_bundle(folder).info.operating_points, name)
        return update_bundle(folder, threshold=point.threshold)


def _refuse_shipped(folder: Path) -> None:
    from brainslice.inference import DEFAULT_BUNDLE

    if folder.resolve() == DEFAULT_BUNDLE:
        msg = f"{folder}: the bundle that ships with brainslice is never changed; copy the folder and name the copy"
        raise UsageError(msg)


def _store(bundle: ModelBundle, found: tuple[OperatingPointResult, ...], scans: TuningScans) -> ModelBundle:
    """Store points and curve in the bundle; a point replaces an older one of its name."""
    from brainslice.bundle import open_bundle, update_bundle
    from brainslice.evaluation import CURVE_FILE, operating_curve
    from brainslice.files import write_json

    with project_lock(project_of(bundle.folder), "saving a threshold"), TemporaryDirectory() as place:
        stored = open_bundle(bundle.folder).info.operating_points
        points = {point.name: point for point in (*stored, *(each.point for each in found))}
        curve = Path(place) / CURVE_FILE
        write_json(curve, operating_curve(scans), "operating-curve")
        return update_bundle(bundle.folder, added={CURVE_FILE: curve}, operating_points=tuple(points.values()))
