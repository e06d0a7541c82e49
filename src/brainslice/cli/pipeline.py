"""Commands that run all steps: ``run``, ``demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brainslice import api
from brainslice.cli import data, evaluation, threshold, training
from brainslice.cli.console import print_note, progress_bars
from brainslice.cli.options import ConfigFile, Overrides, RecipeName, Root, Seed, Weights, settings
from brainslice.errors import CalibrationError, DownloadError, ForgettingError, UnreadableScanError, UsageError
from brainslice.paths import ProjectPaths, writes_project

if TYPE_CHECKING:
    from brainslice.config import Config
    from brainslice.dataset import ExternalSet, PreparedDataset

_SENSITIVITY = 0.95
"""The sensitivity of the threshold on tuning scans."""


@writes_project("running the pipeline")
def run(
    source: Annotated[
        Path | None, typer.Option("--source", help="The main data set, a folder or zip; downloaded by default.")
    ] = None,
    external: Annotated[
        Path | None, typer.Option("--external", help="Another site's yes/no set; downloaded with the main set.")
    ] = None,
    keep_overlap: Annotated[
        bool, typer.Option("--keep-overlap", help="Train also on the scans of the other site's set.")
    ] = False,
    root: Root = Path(),
    config: ConfigFile = None,
    overrides: Overrides = None,
    recipe: RecipeName = None,
    weights: Weights = None,
    seed: Seed = None,
) -> None:
    """Run the whole pipeline, from a data set to the table of results.

    Prepares the data, finds leaks, trains, finds a threshold and evaluates under both protocols; then scores another
    site's set, adapts to it and scores it again.
    """
    chosen = settings(root, config, overrides, "clean", recipe, weights, seed)
    prepared = _prepare(source, root, chosen)
    if external is not None and prepared.manifest.labels.healthy is None:
        msg = "--external needs a set with a healthy class; leave it out, or name the class by data.healthy_class"
        raise UsageError(msg)
    placed = _external(external, root, download=source is None)
    if placed is not None and not keep_overlap:
        data.exclude(root, chosen, placed.folder)
    pipeline(root, chosen, prepared.manifest.official_split)
    if placed is not None:
        validate_and_adapt(root, chosen, placed.folder)
    evaluation.summary(root)
    evaluation.report(root)
    unreadable = len(prepared.unreadable) + (0 if placed is None else len(placed.unreadable))
    if unreadable:
        msg = f"{unreadable} files could not be read and were left out; everything else is done"
        raise UnreadableScanError(msg)


def pipeline(root: Path, config: Config, official: bool) -> None:
    """Train, find a threshold and evaluate on a prepared set, clean and (where it has its own split) official."""
    for protocol in ("clean", "official") if official else ("clean",):
        data = config.data.model_copy(update={"protocol": protocol})
        chosen = config.model_copy(update={"data": data})
        paths = ProjectPaths.of(root, chosen)
        print_note(f"--- {protocol} protocol ---")
        # Results of the official split are shown beside the clean one, marked as leaky.
        training.train_one(paths, chosen, accept_leaks=protocol == "official")
        # Before the test scans are scored, so that they measure the threshold.
        _find_threshold(paths, chosen)
        evaluation.evaluate_one(paths, chosen, overlays=8)


def _find_threshold(paths: ProjectPaths, config: Config) -> None:
    from brainslice.dataset import Manifest

    if Manifest.read(paths.data).labels.healthy is None:
        print_note("no operating point was stored: no class is healthy, so there is no tumour/healthy decision")
        return
    try:
        threshold.threshold_one(paths, config, _SENSITIVITY)
    except CalibrationError as error:
        print_note(f"no operating point was stored: {error}")


def validate_and_adapt(root: Path, config: Config, folder: Path) -> None:
    """Score the clean bundle on another site's scans, adapt it to them, and score both side by side."""
    paths = ProjectPaths.of(root, config)
    print_note("--- another site, before adapting ---")
    evaluation.validate_one(paths, config, folder, [paths.bundle])
    print_note("--- adapting to the other site ---")
    try:
        training.adapt_one(paths, config, folder, None, accept_forgetting=False)
    except ForgettingError as error:
        print_note(f"no adapted bundle was written: {error}")
        return
    print_note("--- another site, after adapting ---")
    evaluation.validate_one(paths, config, folder)


def _prepare(source: Path | None, root: Path, config: Config) -> PreparedDataset:
    with progress_bars() as progress:
        found = source or api.download("nickparvar", root, progress=progress)
        prepared = api.prepare(found, root, config=config, progress=progress)
    for line in prepared.summary_lines():
        print_note(line)
    _list(prepared.unreadable)
    return prepared


def _external(source: Path | None, root: Path, *, download: bool) -> ExternalSet | None:
    if source is None and not download:
        print_note("no --external set was given, so nothing is scored on or adapted to another site")
        return None
    with progress_bars() as progress:
        try:
            found = source or api.download("navoneel", root, progress=progress)
        except DownloadError as error:
            print_note(f"{error}; continuing without another site's set")
            return None
        placed = api.prepare_external(found, root, progress=progress)
    print_note(f"{placed.folder}: {placed.summary}")
    for line in placed.notes:
        print_note(line)
    _list(placed.unreadable)
    return placed


def _list(unreadable: tuple[tuple[str, str], ...]) -> None:
    for _, reason in unreadable:
        print_note(f"left out: {reason}")


@writes_project("running the demo")
def demo(
    root: Annotated[Path, typer.Option("--project-root", help="Where the demo's data, models and reports go.")] = Path(
        "demo"
    ),
    patients: Annotated[
        int, typer.Option("--patients", metavar="N", min=10, help="Drawn patients of each class.")
    ] = 24,
    seed: Annotated[int, typer.Option("--seed", help="The seed of the demo.")] = 42,
) -> None:
    """Run the whole pipeline on drawn heads in minutes; outputs are marked phantom."""
    from brainslice.phantom import MIN_HEADS, write_external_site, write_phantoms

    drawn, other = root / "phantoms", root / "phantoms_elsewhere"
    with progress_bars() as progress:
        write_phantoms(drawn, patients_per_class=patients, seed=seed, progress=progress)
        write_external_site(other, heads_per_kind=max(patients, MIN_HEADS), seed=seed, progress=progress)
    settings = ["data.image_size=128", "train.quick.views=2", "train.quick.epochs=3", "model.weights=shipped"]
    settings += ["model.head=linear", "train.lesion.weight=0"]
    settings += ["adapt.folds=3", "adapt.steps=20", "adapt.checks=2", "adapt.views=1", "adapt.replay=120"]
    run(source=drawn, external=other, root=root, overrides=[*settings, "adapt.learning_curve=false"], seed=seed)
    print_note(f"this was a demonstration on phantoms (drawn pictures, no scans); its files are in {root}")
