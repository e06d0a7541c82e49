"""``brainslice run``: everything, from a data set to the table of results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brainslice.cli.console import print_note, progress_bars
from brainslice.cli.evaluation import evaluate as evaluating
from brainslice.cli.evaluation import summary as summing
from brainslice.cli.evaluation import threshold as cutting
from brainslice.cli.evaluation import validate as judging
from brainslice.cli.options import ConfigFile, Overrides, RecipeName, Root, Seed, Weights, settings
from brainslice.cli.training import adapt as adapting
from brainslice.cli.training import train as training
from brainslice.config import Config
from brainslice.errors import CalibrationError, DownloadError, ForgettingError, UnreadableScanError
from brainslice.paths import ProjectPaths

if TYPE_CHECKING:
    from brainslice.dataset.external import ExternalSet
    from brainslice.dataset.prepared import PreparedDataset

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
        training.exclude(ProjectPaths.of(root, chosen), placed.folder)
    pipeline(root, chosen, prepared.manifest.official_split)
    if placed is not None:
        validate_and_adapt(root, chosen, placed.folder)
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
        places = ProjectPaths.of(root, chosen)
        print_note(f"--- {protocol} protocol ---")
        # The official split is trained on to be shown beside the clean one, marked for what it is.
        training.train_one(places, chosen, accept_leaks=protocol == "official")
        # Before the test scans are opened: they are to say whether the threshold keeps its word, not to meet it later.
        _find_threshold(places, chosen)
        evaluating.evaluate_one(places, chosen, overlays=8)


def _find_threshold(places: ProjectPaths, config: Config) -> None:
    try:
        cutting.threshold_one(places, config, _SENSITIVITY)
    except CalibrationError as error:
        print_note(f"no operating point was stored: {error}")


def validate_and_adapt(root: Path, config: Config, folder: Path) -> None:
    """Score the clean bundle on another site's scans, adapt it to them, and score both side by side."""
    places = ProjectPaths.of(root, config)
    print_note("--- another site, before adapting ---")
    judging.validate_one(places, config, folder, [places.bundle])
    print_note("--- adapting to the other site ---")
    try:
        adapting.adapt_one(places, config, folder, None, accept_forgetting=False)
    except ForgettingError as error:
        print_note(f"no adapted bundle was written: {error}")
        return
    print_note("--- another site, after adapting ---")
    judging.validate_one(places, config, folder)


def _prepare(source: Path | None, root: Path, config: Config) -> PreparedDataset:
    from brainslice.dataset import preparation
    from brainslice.dataset.discovery import sources

    options = preparation.PreparationOptions.of(config)
    with progress_bars() as progress:
        found = source or sources.download("nickparvar", root / "downloads" / "nickparvar", progress)
        prepared = preparation.prepare_dataset(found, root, options, progress)
    for line in prepared.summary_lines():
        print_note(line)
    _list(prepared.unreadable)
    return prepared


def _external(source: Path | None, root: Path, *, download: bool) -> ExternalSet | None:
    from brainslice.dataset import external
    from brainslice.dataset.discovery import sources

    if source is None and not download:
        print_note("no --external set was given, so nothing is scored on or adapted to another site")
        return None
    with progress_bars() as progress:
        try:
            found = source or sources.download("navoneel", root / "downloads" / "navoneel", progress)
        except DownloadError as error:
            print_note(f"{error}; everything else goes on without another site's set")
            return None
        placed = external.prepare_external(found, root, progress=progress)
    print_note(f"{placed.folder}: {placed.summary}")
    for line in placed.notes:
        print_note(line)
    _list(placed.unreadable)
    return placed


def _list(unreadable: tuple[tuple[str, str], ...]) -> None:
    for _, reason in unreadable:
        print_note(f"left out: {reason}")
