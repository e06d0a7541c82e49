"""``brainslice evaluate``: a bundle meets its test set, and the meeting is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brainslice.cli.console import say, watching
from brainslice.cli.options import ConfigFile, Overrides, ProtocolName, Root, settings
from brainslice.config import Config
from brainslice.places import Places


def evaluate(
    root: Root = Path(),
    config: ConfigFile = None,
    overrides: Overrides = None,
    protocol: ProtocolName = None,
    gradcam: Annotated[int, typer.Option("--gradcam", min=0, help="How many overlays of heat maps to draw.")] = 8,
) -> None:
    """Score the bundle on its test scans.

    Every score comes with its interval, beside the floor that grey levels alone reach; each opening is counted.
    """
    chosen = settings(root, config, overrides, protocol)
    evaluate_one(Places.of(root, chosen), chosen, gradcam)


def evaluate_one(places: Places, config: Config, overlays: int) -> None:
    """Evaluate under one protocol and write its reports."""
    from brainslice.judge.analysis import analyse
    from brainslice.judge.explanation import explain
    from brainslice.judge.scoring import judge
    from brainslice.report.writing import write_reports

    with watching() as progress:
        judged = judge(places, config, progress)
        explained = explain(judged, places.reports / "gradcam", overlays, progress)
        analysed = analyse(judged, progress)
        write_reports(judged, explained, places.reports, analysed)
    for line in judged.evaluation.summary_lines():
        say(line)
    for point in analysed.points:
        say(point.summary)
    say(f"{len(analysed.mistakes)} of {judged.evaluation.n} test scans called wrongly; the surest first in errors.png")
    say(f"reports: {places.reports}")
