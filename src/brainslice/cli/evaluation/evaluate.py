"""``brainslice evaluate``: score a bundle on its test scans; every time is counted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from brainslice import api
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
    """Evaluate under one protocol and print the scores."""
    with progress_bars() as progress:
        result = api.evaluate(places.root, config=config, overlays=overlays, slices=slices, progress=progress)
    evaluation = result.test.evaluation
    for line in evaluation.summary_lines():
        print_line(line)
    for point in result.errors.points:
        print_line(point.summary)
    mistakes = len(result.errors.mistakes)
    print_line(f"{mistakes} of {evaluation.n} test scans called wrongly; the surest first in errors.png")
    print_line(f"reports: {result.reports}")
