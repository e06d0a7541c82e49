"""``brainslice run``: everything, from a data set to the table of results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brainslice.cli import evaluate as evaluating
from brainslice.cli import summary as summing
from brainslice.cli import train as training
from brainslice.cli.console import note, watching
from brainslice.cli.options import ConfigFile, Overrides, RecipeName, Root, Seed, Weights, settings
from brainslice.config import Config
from brainslice.errors import UnreadableScanError
from brainslice.labels import LabelSet
from brainslice.places import Places

if TYPE_CHECKING:
    from brainslice.cohort.layout import Prepared


def run(
    source: Annotated[
        Path | None,
        typer.Option("--source", help="The main data set, a folder or zip; downloaded where not given."),
    ] = None,
    external: Annotated[
        Path | None, typer.Option("--external", help="The other site's yes/no set, a folder or zip.")
    ] = None,
    root: Root = Path(),
    config: ConfigFile = None,
    overrides: Overrides = None,
    recipe: RecipeName = None,
    weights: Weights = None,
    seed: Seed = None,
) -> None:
    """Do everything, from data to results.

    Gets and prepares the data, finds leaks, trains and evaluates under both protocols, and prints them side by side.
    """
    chosen = settings(root, config, overrides, "clean", recipe, weights, seed)
    prepared = _prepare(source, root, chosen)
    pipeline(root, chosen, prepared.manifest.official_split)
    unreadable = len(prepared.unreadable) + _external(external, root)
    note("fine-tuning on the external set, its evaluation and the threshold search are not there yet: next version")
    if unreadable:
        msg = f"{unreadable} files could not be read and were left out; everything else is done"
        raise UnreadableScanError(msg)


def pipeline(root: Path, config: Config, official: bool) -> None:
    """Train and evaluate on a prepared set, clean and (where the set has its own split) official, and sum up."""
    for protocol in ("clean", "official") if official else ("clean",):
        data = config.data.model_copy(update={"protocol": protocol})
        chosen = config.model_copy(update={"data": data})
        places = Places.of(root, chosen)
        note(f"--- {protocol} protocol ---")
        # The official split is trained on to be shown beside the clean one, marked for what it is.
        training.train_one(places, chosen, accept_leaks=protocol == "official")
        evaluating.evaluate_one(places, chosen, overlays=8)
    summing.summary(root)


def _prepare(source: Path | None, root: Path, config: Config) -> Prepared:
    from brainslice.cohort import layout, sources

    options = layout.Preparation(
        val_size=config.data.valid_split,
        seed=config.seed,
        folds=config.data.folds,
        labels=LabelSet(config.data.class_names, config.data.healthy_class),
    )
    with watching() as progress:
        found = source or sources.download("nickparvar", root / "downloads" / "nickparvar", progress)
        prepared = layout.prepare(found, root, options, progress)
    for line in prepared.summary_lines():
        note(line)
    _list(prepared.unreadable)
    return prepared


def _external(source: Path | None, root: Path) -> int:
    from brainslice.cohort import layout

    if source is None:
        return 0
    with watching() as progress:
        placed = layout.prepare_external(source, root, progress=progress)
    note(f"{placed.folder}: {placed.summary}")
    _list(placed.unreadable)
    return len(placed.unreadable)


def _list(unreadable: tuple[tuple[str, str], ...]) -> None:
    for _, reason in unreadable:
        note(f"left out: {reason}")
