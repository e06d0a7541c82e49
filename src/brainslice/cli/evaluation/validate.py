"""``brainslice validate``: score bundles on another site's scans."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from brainslice.cli.console import print_line, print_note, progress_bars, table
from brainslice.cli.options import ConfigFile, Overrides, Root, SiteFolder, Slices, settings
from brainslice.config import Config
from brainslice.paths import ProjectPaths


def validate(
    data: SiteFolder = None,
    bundle: Annotated[
        list[Path] | None,
        typer.Option("--bundle", help="A bundle; may be given several times. By default the project's, then adapted."),
    ] = None,
    root: Root = Path(),
    config: ConfigFile = None,
    overrides: Overrides = None,
    slices: Slices = None,
) -> None:
    """Score bundles on another site's scans.

    Pictures that trained a bundle are left out and counted, each picture counts once, and bundles stand side by side.
    """
    chosen = settings(root, config, overrides)
    validate_one(ProjectPaths.of(root, chosen), chosen, data or root / chosen.data.external, bundle, slices or [])


def validate_one(
    places: ProjectPaths, config: Config, data: Path, bundles: list[Path] | None = None, slices: Sequence[Path] = ()
) -> None:
    """Score bundles on one folder, print the table and write it to ``reports/external``."""
    from brainslice.evaluation.external_validation import validate_external
    from brainslice.report.external_site import external_tables, write_external

    with progress_bars() as progress:
        found = validate_external(bundles or find_bundles(places, data), data, places, config, progress, slices)
    for shown in external_tables(found):
        table(shown.title, shown.header, shown.rows)
        for line in shown.footnotes:
            print_line(line)
    for source, reason in found.site.unreadable:
        print_note(f"left out: {source}: {reason}")
    written, page = write_external(found, places.reports / "external")
    print_line(f"reports: {written}, {page}")


def find_bundles(places: ProjectPaths, data: Path) -> list[Path]:
    """Name the project's bundle, and beside it the one that was adapted to these scans, if there is one."""
    from brainslice.bundle.adaptation import adapted_name

    adapted = places.models / adapted_name(data.resolve().name)
    return [places.bundle, *([adapted] if adapted.is_dir() else [])]
