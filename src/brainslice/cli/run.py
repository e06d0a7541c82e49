"""``brainslice run``: everything, from a data set to the table of results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brainslice.cli import adapt as adapting
from brainslice.cli import evaluate as evaluating
from brainslice.cli import external as judging
from brainslice.cli import summary as summing
from brainslice.cli import threshold as cutting
from brainslice.cli import train as training
from brainslice.cli.console import note, watching
from brainslice.cli.options import ConfigFile, Overrides, RecipeName, Root, Seed, Weights, settings
from brainslice.config import Config
from brainslice.errors import CalibrationError, DownloadError, ForgettingError, UnreadableScanError
from brainslice.labels import LabelSet
from brainslice.places import Places

if TYPE_CHECKING:
    from brainslice.cohort.external import External
    from brainslice.cohort.layout import Prepared

_SENSITIVITY = 0.95
"""What the threshold that is found has to reach on tuning scans."""


def run(
    source: Annotated[
        Path | None,
        typer.Option("--source", help="The main data set, a folder or zip; downloaded where not given."),
    ] = None,
    external: Annotated[
        Path | None,
        typer.Option("--external", help="The other site's yes/no set, a folder or zip; downloaded with the main set."),
    ] = None,
    keep_overlap: Annotated[
        bool, typer.Option("--keep-overlap", help="Train also on pictures that the other site's set shows.")
    ] = False,
    root: Root = Path(),
    config: ConfigFile = None,
    overrides: Overrides = None,
    recipe: RecipeName = None,
    weights: Weights = None,
    seed: Seed = None,
) -> None:
    """Do everything, from data to results.

    Gets and prepares the data, finds leaks, trains, finds a threshold and evaluates, under both protocols; then scores
    the other site's set, adapts to it, scores it again, and prints everything side by side.
    """
    chosen = settings(root, config, overrides, "clean", recipe, weights, seed)
    prepared = _prepare(source, root, chosen)
    placed = _external(external, root, download=source is None)
    if placed is not None and not keep_overlap:
        training.exclude(Places.of(root, chosen), placed.folder)
    pipeline(root, chosen, prepared.manifest.official_split)
    if placed is not None:
        another_site(root, chosen, placed.folder)
    summing.summary(root)
    unreadable = len(prepared.unreadable) + (0 if placed is None else len(placed.unreadable))
    if unreadable:
        msg = f"{unreadable} files could not be read and were left out; everything else is done"
        raise UnreadableScanError(msg)


def pipeline(root: Path, config: Config, official: bool) -> None:
    """Train, find a threshold and evaluate on a prepared set, clean and (where it has its own split) official."""
    for protocol in ("clean", "official") if official else ("clean",):
        data = config.data.model_copy(update={"protocol": protocol})
        chosen = config.model_copy(update={"data": data})
        places = Places.of(root, chosen)
        note(f"--- {protocol} protocol ---")
        # The official split is trained on to be shown beside the clean one, marked for what it is.
        training.train_one(places, chosen, accept_leaks=protocol == "official")
        # Before the test scans are opened: they are to say whether the threshold keeps its word, not to meet it later.
        _find_threshold(places, chosen)
        evaluating.evaluate_one(places, chosen, overlays=8)


def _find_threshold(places: Places, config: Config) -> None:
    try:
        cutting.threshold_one(places, config, _SENSITIVITY)
    except CalibrationError as error:
        note(f"no operating point was stored: {error}")


def another_site(root: Path, config: Config, folder: Path) -> None:
    """Score the clean bundle on another site's scans, adapt it to them, and score both side by side."""
    places = Places.of(root, config)
    note("--- another site, before adapting ---")
    judging.external_one(places, config, folder, [places.bundle])
    note("--- adapting to the other site ---")
    try:
        adapting.adapt_one(places, config, folder, None, accept_forgetting=False)
    except ForgettingError as error:
        note(f"no adapted bundle was written: {error}")
        return
    note("--- another site, after adapting ---")
    judging.external_one(places, config, folder)


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


def _external(source: Path | None, root: Path, *, download: bool) -> External | None:
    from brainslice.cohort import layout, sources

    if source is None and not download:
        note("no --external set was given, so nothing is scored on or adapted to another site")
        return None
    with watching() as progress:
        try:
            found = source or sources.download("navoneel", root / "downloads" / "navoneel", progress)
        except DownloadError as error:
            note(f"{error}; everything else goes on without another site's set")
            return None
        placed = layout.prepare_external(found, root, progress=progress)
    note(f"{placed.folder}: {placed.summary}")
    _list(placed.unreadable)
    return placed


def _list(unreadable: tuple[tuple[str, str], ...]) -> None:
    for _, reason in unreadable:
        note(f"left out: {reason}")
