"""``brainslice adapt``: a bundle learns another site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from brainslice.cli.console import note, say, table, watching
from brainslice.cli.options import ConfigFile, Overrides, Root, Seed, SiteFolder, settings
from brainslice.config import Config
from brainslice.places import Places

AcceptForgetting: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--accept-forgetting", help="Write the bundle although it forgets more of its source than adapt.forgetting."
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
    adapt_one(Places.of(root, chosen), chosen, data or root / chosen.data.external, bundle, accept_forgetting)


def adapt_one(places: Places, config: Config, data: Path, bundle: Path | None, accept_forgetting: bool) -> None:
    """Adapt to one folder, print what it came to and write it to ``reports/external``."""
    from brainslice.bundle.adaptation import adaptation_of
    from brainslice.report.site import contest_table, curve_table, write_adaptation
    from brainslice.report.words import stamp
    from brainslice.train.adapt import adapt as adapt_network

    with watching() as progress:
        adapted = adapt_network(
            places, config, data, bundle or places.bundle, accept_forgetting=accept_forgetting, progress=progress
        )
    marks = [stamp(mark) for mark in adapted.bundle.info.marks]
    tables = [contest_table("Ways to another site, out of fold", adapted.entries, (*marks, *adapted.site))]
    if adapted.curve:
        tables.append(curve_table([(point.labelled, point.scores) for point in adapted.curve]))
    for shown in tables:
        table(shown.title, shown.header, shown.rows)
        for line in shown.footnotes:
            say(line)
    stored = adaptation_of(adapted.bundle)
    told = {} if stored is None else stored.model_dump(mode="json", exclude={"out_of_fold"})
    written, page = write_adaptation(places.reports / "external", data.resolve().name, told, tables)
    say(
        f"macro F1 on the source's validation scans: {adapted.outcome.before:.3f} before, {adapted.outcome.after:.3f} "
        f"after; it may fall by {config.adapt.forgetting:g}"
    )
    say(f"bundle: {adapted.bundle.folder}; network: {adapted.network}; reports: {written}, {page}")
    note("the adapted bundle saw all of the site's scans: only the out-of-fold figures above say how it does there")
