"""``brainslice adapt``: a bundle learns another site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from brainslice import api
from brainslice.cli.console import print_line, print_note, progress_bars, table
from brainslice.cli.options import ConfigFile, Overrides, Root, Seed, SiteFolder, settings
from brainslice.config import Config
from brainslice.paths import ProjectPaths

AcceptForgetting: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--accept-forgetting", help="Write the bundle although it forgets more of its source than adapt.max_forgetting."
    ),
]


def adapt(
    data: SiteFolder = None,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="The bundle to start from; the project's by default.")
    ] = None,
    accept_forgetting: AcceptForgetting = False,
    root: Root = Path(),
    config: ConfigFile = None,
    overrides: Overrides = None,
    seed: Seed = None,
) -> None:
    """Fine-tune a bundle for another site.

    Cheaper ways are compared in the same table, all judged out of fold. Interrupted, it goes on where it stopped.
    """
    chosen = settings(root, config, overrides, seed=seed)
    adapt_one(ProjectPaths.of(root, chosen), chosen, data or root / chosen.data.external, bundle, accept_forgetting)


def adapt_one(places: ProjectPaths, config: Config, data: Path, bundle: Path | None, accept_forgetting: bool) -> None:
    """Adapt to one folder, print what it came to and write it to ``reports/external``."""
    from brainslice.bundle.adaptation import read_adaptation
    from brainslice.report.documents import warning_stamp
    from brainslice.report.external_site import comparison_table, curve_table, write_adaptation

    with progress_bars() as progress:
        adapted = api.adapt(
            data, places.root, bundle=bundle, config=config, accept_forgetting=accept_forgetting, progress=progress
        )
    marks = [warning_stamp(mark) for mark in adapted.bundle.info.warnings]
    tables = [comparison_table("Ways to another site, out of fold", adapted.entries, (*marks, *adapted.site))]
    if adapted.curve:
        tables.append(curve_table([(point.labelled, point.scores) for point in adapted.curve]))
    for shown in tables:
        table(shown.title, shown.header, shown.rows)
        for line in shown.footnotes:
            print_line(line)
    stored = read_adaptation(adapted.bundle)
    told = {} if stored is None else stored.model_dump(mode="json", exclude={"out_of_fold"})
    written, page = write_adaptation(places.reports / "external", data.resolve().name, told, tables)
    print_line(
        f"macro F1 on the source's validation scans: {adapted.outcome.before:.3f} before, {adapted.outcome.after:.3f} "
        f"after; it may fall by {config.adapt.max_forgetting:g}"
    )
    print_line(f"bundle: {adapted.bundle.folder}; network: {adapted.network}; reports: {written}, {page}")
    print_note(
        "the adapted bundle saw all of the site's scans: only the out-of-fold figures above say how it does there"
    )
