"""``brainslice ensemble``: several networks answer together, as one bundle."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brainslice.cli.console import print_line, print_note, progress_bars, table
from brainslice.cli.options import ConfigFile, Overrides, RecipeName, Root, Seed, Weights, settings
from brainslice.config import Config
from brainslice.paths import ProjectPaths
from brainslice.progress import Progress

if TYPE_CHECKING:
    from brainslice.evaluation.ensemble_gain import EnsembleGain
    from brainslice.evaluation.scoring import ScoredTestSet
    from brainslice.training.ensemble import EnsembleResult

_OVERLAYS = 8


def ensemble(
    bundles: Annotated[
        list[Path] | None,
        typer.Argument(help="Bundles to join; without any, a network is trained for each fold but the test fold."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="DIR", help="The ensemble's folder; models/ensemble by default.")
    ] = None,
    calibrate_on: Annotated[
        Path | None,
        typer.Option(
            "--calibrate-on", metavar="FOLDER", help="Class folders of other scans to fit the temperature on."
        ),
    ] = None,
    test: Annotated[
        bool, typer.Option("--test", help="Score it, once and counted, on the scans no member has seen.")
    ] = False,
    root: Root = Path(),
    config: ConfigFile = None,
    overrides: Overrides = None,
    recipe: RecipeName = None,
    weights: Weights = None,
    seed: Seed = None,
) -> None:
    """Join networks into one bundle.

    It answers with the mean of their logits and says how far they disagree; interrupted, it goes on where it stopped.
    """
    from brainslice.training.ensemble import build_ensemble, train_members

    chosen = settings(root, config, overrides, "clean" if not bundles else None, recipe, weights, seed)
    places = ProjectPaths.of(root, chosen)
    with progress_bars() as progress:
        members = tuple(bundles or ()) or train_members(root, chosen, progress)
        place = output or root / "models" / "ensemble"
        joined = build_ensemble(members, place, places, chosen, progress, calibration_folder=calibrate_on)
    _tell(joined)
    if test:
        with progress_bars() as progress:
            _test(joined, dataclasses.replace(places, reports=places.reports / "ensemble"), chosen, progress)


def _tell(joined: EnsembleResult) -> None:
    info = joined.bundle.info
    for line in joined.notes:
        print_note(line)
    marks = f" [{', '.join(info.warnings)}]" if info.warnings else ""
    print_line(f"bundle{marks}: {joined.bundle.folder}")
    kept = len(joined.assignment.split.test)
    print_line(f"{info.backbone}; {kept} scans are left that no member was trained or chosen on")
    checked, heard = info.validation, info.ensemble.members_per_scan if info.ensemble else 0
    print_line(
        f"held-out scans (n = {checked.n}, chose the temperature, each judged by at least {heard}): "
        f"accuracy {checked.accuracy:.3f}, ECE {checked.ece:.3f}, temperature {info.temperature:.3f}"
    )


def _test(joined: EnsembleResult, places: ProjectPaths, config: Config, progress: Progress) -> None:
    from brainslice.evaluation.ensemble_gain import measure_gains
    from brainslice.evaluation.explanation import explain
    from brainslice.evaluation.scoring import evaluate_test_set
    from brainslice.files import write_json
    from brainslice.report.writer import write_reports

    division = joined.assignment if len(joined.assignment.split.test) else None
    judged = evaluate_test_set(places, config, progress, assignment=division, bundle=joined.bundle.folder)
    write_reports(judged, explain(judged, places.reports / "gradcam", _OVERLAYS, progress), places.reports)
    members, logits = joined.bundle.info.ensemble, judged.output.member_logits
    temperatures = [member.temperature for member in members.members] if members else []
    gains = () if logits is None else measure_gains(judged.scored, logits, temperatures, config.seed)
    write_json(places.reports / "gains.json", {gain.name: gain.to_json() for gain in gains})
    _show(judged, gains)
    print_line(f"reports: {places.reports}")


def _show(judged: ScoredTestSet, gains: tuple[EnsembleGain, ...]) -> None:
    for line in judged.evaluation.summary_lines():
        print_line(line)
    count = max((len(gain.members) for gain in gains), default=0)
    header = ["", *[f"member {number}" for number in range(count)], "ensemble", "gain over their mean [95 %]"]
    rows = [
        [gain.name, *[f"{value:.4f}" for value in gain.members], f"{gain.ensemble:.4f}", _bounded(gain)]
        for gain in gains
    ]
    table("what averaging adds, on the same test scans", header, rows)


def _bounded(gain: EnsembleGain) -> str:
    bounds = "" if gain.interval is None else f" [{gain.interval.low:+.4f}, {gain.interval.high:+.4f}]"
    return f"{gain.difference:+.4f}{bounds}"
