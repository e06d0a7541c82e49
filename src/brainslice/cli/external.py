"""``brainslice external``: bundles meet another site's scans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brainslice.cli.console import note, say, table, watching
from brainslice.cli.options import ConfigFile, Overrides, Root, SiteFolder, settings
from brainslice.config import Config
from brainslice.places import Places


def external(
    data: SiteFolder = None,
    bundle: Annotated[
        list[Path] | None,
        typer.Option("--bundle", help="A bundle; may be given several times. By default the project's, then adapted."),
    ] = None,
    root: Root = Path(),
    config: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """Score bundles on another site's scans.

    Pictures that trained a bundle are left out and counted, each picture counts once, and bundles stand side by side.
    """
    chosen = settings(root, config, overrides)
    external_one(Places.of(root, chosen), chosen, data or root / chosen.data.external, bundle)


def external_one(places: Places, config: Config, data: Path, bundles: list[Path] | None = None) -> None:
    """Score bundles on one folder, print the table and write it to ``reports/external``."""
    from brainslice.judge.external import judge_external
    from brainslice.report.site import external_tables, write_external

    with watching() as progress:
        found = judge_external(bundles or bundles_of(places, data), data, places, config, progress)
    for shown in external_tables(found):
        table(shown.title, shown.header, shown.rows)
        for line in shown.footnotes:
            say(line)
    for source, reason in found.site.unreadable:
        note(f"left out: {source}: {reason}")
    written, page = write_external(found, places.reports / "external")
    say(f"reports: {written}, {page}")


def bundles_of(places: Places, data: Path) -> list[Path]:
    """Name the project's bundle, and beside it the one that was adapted to these scans, if there is one."""
    from brainslice.bundle.adaptation import adapted_name

    adapted = places.models / adapted_name(data.resolve().name)
    return [places.bundle, *([adapted] if adapted.is_dir() else [])]
