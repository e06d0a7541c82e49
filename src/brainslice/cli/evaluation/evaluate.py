"""``brainslice evaluate``: score a bundle on its test scans; every time is counted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from brainslice.cli.console import print_line, progress_bars
from brainslice.cli.options import ConfigFile, Overrides, ProtocolName, Root, Slices, settings
from brainslice.config import Config
from brainslice.paths import ProjectPaths


def evaluate(
    root: Root = Path(),
    config: ConfigFile = None,
    overrides: Overrides = None,
    protocol: ProtocolName = None,
    gradcam: Annotated[int, typer.Option("--gradcam", min=0, help="How many overlays of heat maps to draw.")] = 8,
    slices: Slices = None,
) -> None:
    """Score the bundle on its test scans.

    First comes the source-controlled test: mirror twins where outlines are known, and the folders given by --slices.
    Every score comes with its interval, beside the floor that grey levels alone reach; each opening is counted.
    """
    chosen = settings(root, config, overrides, protocol)
    evaluate_one(ProjectPaths.of(root, chosen), chosen, gradcam, slices or [])


def evaluate_one(places: ProjectPaths, config: Config, overlays: int, slices: Sequence[Path] = ()) -> None:
    """Evaluate under one protocol and write its reports."""
    from brainslice.evaluation.error_analysis import analyse_errors
    from brainslice.evaluation.explanation import explain
    from brainslice.evaluation.scoring import evaluate_test_set
    from brainslice.report.writer import write_reports

    with progress_bars() as progress:
        judged = evaluate_test_set(places, config, progress, slices=slices)
        explained = explain(judged, places.reports / "gradcam", overlays, progress)
        analysed = analyse_errors(judged, progress)
        write_reports(judged, explained, places.reports, analysed)
    for line in judged.evaluation.summary_lines():
        print_line(line)
    for point in analysed.points:
        print_line(point.summary)
    print_line(
        f"{len(analysed.mistakes)} of {judged.evaluation.n} test scans called wrongly; the surest first in errors.png"
    )
    print_line(f"reports: {places.reports}")
