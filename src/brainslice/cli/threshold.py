"""``brainslice threshold``: find operating points on tuning scans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from brainslice import api
from brainslice.cli.console import print_line, print_note, progress_bars
from brainslice.cli.options import ConfigFile, Overrides, ProtocolName, Root, settings
from brainslice.decision import TARGETS, Criterion, Target, Unit
from brainslice.errors import UsageError
from brainslice.paths import ProjectPaths, writes_project

if TYPE_CHECKING:
    from brainslice.api import ThresholdSearch
    from brainslice.config import Config
    from brainslice.evaluation import OperatingPointRequest


BundleFolder: TypeAlias = Annotated[
    Path | None, typer.Option("--bundle", help="The bundle's folder; models/bundle of the project by default.")
]
TuningFolder: TypeAlias = Annotated[
    Path | None, typer.Option("--data", help="Class or yes/no folders: tune on one half, report on the other.")
]
TargetSensitivity: TypeAlias = Annotated[
    float | None, typer.Option("--target-sensitivity", metavar="RATE", help="Reach at least this sensitivity.")
]
TargetSpecificity: TypeAlias = Annotated[
    float | None, typer.Option("--target-specificity", metavar="RATE", help="Reach at least this specificity.")
]
Youden: TypeAlias = Annotated[bool, typer.Option("--youden", help="Maximise sensitivity plus specificity.")]
CostRatio: TypeAlias = Annotated[
    float | None, typer.Option("--cost-ratio", metavar="R", help="A missed tumour costs R times a false alarm.")
]
NetBenefit: TypeAlias = Annotated[
    float | None, typer.Option("--net-benefit", metavar="P", help="Maximise net benefit at this threshold probability.")
]
Promised: TypeAlias = Annotated[
    bool, typer.Option("--guarantee", help="Guarantee the targets for new groups, with the given confidence.")
]
PromisedUnit: TypeAlias = Annotated[
    Unit, typer.Option("--guarantee-unit", help="Guarantee for a scan of a new patient, or for all of its scans.")
]
Confidence: TypeAlias = Annotated[
    float, typer.Option("--confidence", help="The probability with which a guarantee holds.")
]
Prevalence: TypeAlias = Annotated[
    float | None, typer.Option("--prevalence", help="The prevalence of tumours for costs, PPV and NPV.")
]
Name: TypeAlias = Annotated[str | None, typer.Option("--name", help="The name of a single operating point.")]
Use: TypeAlias = Annotated[
    str | None, typer.Option("--use", metavar="NAME", help="Write an operating point into the bundle as its threshold.")
]
Save: TypeAlias = Annotated[
    bool, typer.Option("--save", help="Write the points into the bundle; without it they are only shown.")
]


@writes_project("searching a threshold")
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
    save: Save = False,
) -> None:
    """Find operating points on tuning scans.

    By default on the bundle's validation scans and for Youden's index. Only --save and --use change the bundle, never
    the shipped one.
    """
    chosen = settings(root, config, overrides, protocol)
    paths = ProjectPaths.of(root, chosen)
    rates = ((Criterion.SENSITIVITY, target_sensitivity), (Criterion.SPECIFICITY, target_specificity))
    weights = ((Criterion.COST, cost_ratio), (Criterion.NET_BENEFIT, net_benefit))
    goals = [Target(criterion, value) for criterion, value in (*rates, *weights) if value is not None]
    goals += [Target(Criterion.YOUDEN)] if youden or not (goals or use) else []
    folder = bundle or paths.bundle
    if goals:
        requests = _requests(goals, name, (guarantee_unit, confidence, chosen.seed) if guarantee else None, prevalence)
        # A point that is found and used in one call has to be stored first.
        _search(folder, paths, chosen, requests, data, save=save or use is not None)
    if use is not None:
        _use(folder, use)


def threshold_one(paths: ProjectPaths, config: Config, sensitivity: float) -> None:
    """Find the threshold of a sensitivity on a bundle's validation scans and store it."""
    requests = _requests([Target(Criterion.SENSITIVITY, sensitivity)], None, None, None)
    _search(paths.bundle, paths, config, requests, None, save=True)


def _requests(
    goals: list[Target], name: str | None, promised: tuple[Unit, float, int] | None, prevalence: float | None
) -> list[OperatingPointRequest]:
    from brainslice.decision import Assurance
    from brainslice.evaluation import OperatingPointRequest

    if name is not None and len(goals) > 1:
        msg = f"--name names one operating point, got {len(goals)} goals; search them one by one"
        raise UsageError(msg)
    if prevalence is not None and not 0.0 < prevalence < 1.0:
        msg = f"--prevalence must be a share above 0 and below 1, got {prevalence!r}"
        raise UsageError(msg)
    if promised is not None and not any(goal.criterion in TARGETS for goal in goals):
        msg = "--guarantee needs a rate to guarantee: give --target-sensitivity or --target-specificity"
        raise UsageError(msg)
    assurance = None if promised is None else Assurance(*promised)
    return [
        OperatingPointRequest(goal, name, assurance if goal.criterion in TARGETS else None, prevalence)
        for goal in goals
    ]


def _search(
    folder: Path,
    paths: ProjectPaths,
    config: Config,
    requests: list[OperatingPointRequest],
    data: Path | None,
    *,
    save: bool,
) -> None:
    with progress_bars() as progress:
        found = api.find_threshold(
            requests, paths.root, bundle=folder, data=data, config=config, save=save, progress=progress
        )
    _show(found)


def _use(folder: Path, name: str) -> None:
    info = api.use_operating_point(folder, name).info
    print_line(f"{folder}: threshold P(tumour) >= {info.threshold:.4g} ({name})")
    print_line(f"new digest: {info.digest}")


def _show(found: ThresholdSearch) -> None:
    for line in (f"tuned on: {found.scans.description}", *found.scans.notes):
        print_note(line)
    for each in found.points:
        print_line(each.point.summary)
        print_line(f"  {each.point.promise}")
        if each.values is not None:
            print_line(f"  {each.values.summary}")
    print_line(f"reports: {found.reports}")
    if not found.saved:
        print_note(f"{found.bundle.folder}: not changed; add --save to write the operating points into it")
        return
    print_line(f"saved in {found.bundle.folder}; new digest: {found.bundle.info.digest}")
    print_note(f"use one with: brainslice predict --operating-point {found.points[0].point.name}, or threshold --use")
