"""``brainslice threshold``: operating points, found on tuning scans and stored in the bundle with what they promise."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from brainslice.cli.console import print_line, print_note, progress_bars
from brainslice.cli.options import ConfigFile, Overrides, ProtocolName, Root, settings
from brainslice.config import Config
from brainslice.decision.operating_point import TARGETS, Criterion, Target, Unit, find_point
from brainslice.errors import UsageError
from brainslice.paths import ProjectPaths

if TYPE_CHECKING:
    from brainslice.bundle.store import ModelBundle
    from brainslice.evaluation.operating_points import OperatingPointRequest, OperatingPointResult
    from brainslice.evaluation.tuning_data import TuningScans


BundleFolder: TypeAlias = Annotated[
    Path | None, typer.Option("--bundle", help="The bundle's folder; models/bundle of the project by default.")
]
TuningFolder: TypeAlias = Annotated[
    Path | None,
    typer.Option("--data", help="Tune on half of this folder (yes and no, or the classes), report on the rest."),
]
TargetSensitivity: TypeAlias = Annotated[
    float | None, typer.Option("--target-sensitivity", metavar="RATE", help="Find at least this share of tumours.")
]
TargetSpecificity: TypeAlias = Annotated[
    float | None, typer.Option("--target-specificity", metavar="RATE", help="Clear at least this share of healthy.")
]
Youden: TypeAlias = Annotated[bool, typer.Option("--youden", help="Make sensitivity plus specificity largest.")]
CostRatio: TypeAlias = Annotated[
    float | None, typer.Option("--cost-ratio", metavar="R", help="A missed tumour costs R times a false alarm.")
]
NetBenefit: TypeAlias = Annotated[
    float | None, typer.Option("--net-benefit", metavar="P", help="Most good for who acts from P(tumour) = P on.")
]
Promised: TypeAlias = Annotated[
    bool, typer.Option("--guarantee", help="Promise the targets for new groups, with the given confidence.")
]
PromisedUnit: TypeAlias = Annotated[
    Unit, typer.Option("--guarantee-unit", help="Promise for a scan of a new patient, or for all of its scans.")
]
Confidence: TypeAlias = Annotated[
    float, typer.Option("--confidence", help="The probability with which a guarantee holds.")
]
Prevalence: TypeAlias = Annotated[
    float | None, typer.Option("--prevalence", help="The share of tumours to weigh costs and PPV and NPV at.")
]
Name: TypeAlias = Annotated[str | None, typer.Option("--name", help="What to call the one operating point.")]
Use: TypeAlias = Annotated[
    str | None, typer.Option("--use", metavar="NAME", help="Make an operating point the bundle's own threshold.")
]


def threshold(
    root: Root = Path(),
    config: ConfigFile = None,
    overrides: Overrides = None,
    protocol: ProtocolName = None,
    bundle: BundleFolder = None,
    data: TuningFolder = None,
    target_sensitivity: TargetSensitivity = None,
    target_specificity: TargetSpecificity = None,
    youden: Youden = False,
    cost_ratio: CostRatio = None,
    net_benefit: NetBenefit = None,
    guarantee: Promised = False,
    guarantee_unit: PromisedUnit = Unit.SCAN,
    confidence: Confidence = 0.9,
    prevalence: Prevalence = None,
    name: Name = None,
    use: Use = None,
) -> None:
    """Find operating points on tuning scans.

    Thresholds on P(tumour) are stored in the bundle with what they promise; the configuration is never rewritten. By
    default the bundle's validation scans choose, and Youden's index where no goal is given.
    """
    chosen = settings(root, config, overrides, protocol)
    places = ProjectPaths.of(root, chosen)
    rates = ((Criterion.SENSITIVITY, target_sensitivity), (Criterion.SPECIFICITY, target_specificity))
    weights = ((Criterion.COST, cost_ratio), (Criterion.NET_BENEFIT, net_benefit))
    goals = [Target(criterion, value) for criterion, value in (*rates, *weights) if value is not None]
    goals += [Target(Criterion.YOUDEN)] if youden or not (goals or use) else []
    folder = bundle or places.bundle
    if goals:
        wishes = _wishes(goals, name, (guarantee_unit, confidence, chosen.seed) if guarantee else None, prevalence)
        _search(folder, places, wishes, data, chosen.seed)
    if use is not None:
        _use(folder, use)


def threshold_one(places: ProjectPaths, config: Config, sensitivity: float) -> None:
    """Find the threshold that finds this share of tumours on a bundle's validation scans, and store it."""
    wishes = _wishes([Target(Criterion.SENSITIVITY, sensitivity)], None, None, None)
    _search(places.bundle, places, wishes, None, config.seed)


def _wishes(
    goals: list[Target], name: str | None, promised: tuple[Unit, float, int] | None, prevalence: float | None
) -> list[OperatingPointRequest]:
    from brainslice.decision.threshold_search import Assurance
    from brainslice.evaluation.operating_points import OperatingPointRequest

    if name is not None and len(goals) > 1:
        msg = f"--name names one operating point, got {len(goals)} goals; search them one by one"
        raise UsageError(msg)
    if prevalence is not None and not 0.0 < prevalence < 1.0:
        msg = f"--prevalence must be a share above 0 and below 1, got {prevalence!r}"
        raise UsageError(msg)
    if promised is not None and not any(goal.criterion in TARGETS for goal in goals):
        msg = "--guarantee promises a rate; say which with --target-sensitivity or --target-specificity"
        raise UsageError(msg)
    assurance = None if promised is None else Assurance(*promised)
    return [
        OperatingPointRequest(goal, name, assurance if goal.criterion in TARGETS else None, prevalence)
        for goal in goals
    ]


def _search(
    folder: Path, places: ProjectPaths, wishes: list[OperatingPointRequest], data: Path | None, seed: int
) -> None:
    """Find every point before any is stored: a wish that fails leaves the bundle as it was."""
    from brainslice.evaluation.operating_points import curve_of, find_operating_point
    from brainslice.evaluation.tuning_data import folder_scans, validation_scans
    from brainslice.inference.predictor import Predictor
    from brainslice.report.figures.decision_curve import write_operating_points

    predictor = Predictor.open(folder)
    with progress_bars() as progress:
        if data is None:
            scans = validation_scans(places, predictor, progress)
        else:
            scans = folder_scans(data, places, predictor, seed, progress)
    found = tuple(find_operating_point(wish, scans) for wish in wishes)
    curve = curve_of(scans, wishes[0].prevalence)
    bundle = _store(predictor.bundle, found, scans)
    reports = places.reports / "operating_points"
    write_operating_points(found, curve, scans.shown_words, bundle.info.warnings, reports)
    _tell(found, scans, reports)


def _store(bundle: ModelBundle, found: tuple[OperatingPointResult, ...], scans: TuningScans) -> ModelBundle:
    """Store the points beside those that are there, one in the place of another of its name, and the curve."""
    from brainslice.bundle.store import update_bundle
    from brainslice.evaluation.operating_points import CURVE_FILE, operating_curve
    from brainslice.files import write_json

    points = {point.name: point for point in (*bundle.info.operating_points, *(each.point for each in found))}
    with TemporaryDirectory() as place:
        curve = Path(place) / CURVE_FILE
        write_json(curve, operating_curve(scans))
        return update_bundle(bundle.folder, added={CURVE_FILE: curve}, operating_points=tuple(points.values()))


def _use(folder: Path, name: str) -> None:
    from brainslice.bundle.store import open_bundle, update_bundle

    point = find_point(open_bundle(folder).info.operating_points, name)
    update_bundle(folder, threshold=point.threshold)
    print_line(f"{folder}: calls a scan a tumour from P(tumour) = {point.threshold:.4g} on ({point.name})")


def _tell(found: tuple[OperatingPointResult, ...], scans: TuningScans, reports: Path) -> None:
    for line in (f"tuned on: {scans.words}", *scans.notes):
        print_note(line)
    for each in found:
        print_line(each.point.summary)
        print_line(f"  {each.point.promise}")
        if each.values is not None:
            print_line(f"  {each.values.summary}")
    print_line(f"reports: {reports}")
    print_note(
        f"use one with: brainslice predict --operating-point {found[0].point.name}, or for good with threshold --use"
    )
