"""``brainslice train``: a prepared set becomes a bundle."""

from __future__ import annotations

from pathlib import Path

from brainslice.cli.console import note, say, watching
from brainslice.cli.options import (
    AcceptLeaks,
    ConfigFile,
    ExcludeOverlap,
    Overrides,
    ProtocolName,
    RecipeName,
    Root,
    Seed,
    Weights,
    settings,
)
from brainslice.config import Config
from brainslice.places import Places


def train(
    root: Root = Path(),
    config: ConfigFile = None,
    overrides: Overrides = None,
    protocol: ProtocolName = None,
    recipe: RecipeName = None,
    weights: Weights = None,
    seed: Seed = None,
    accept_leaks: AcceptLeaks = False,
    exclude_overlap_with: ExcludeOverlap = None,
) -> None:
    """Train, calibrate and export a network.

    Interrupted, it goes on where it stopped when it is called again.
    """
    chosen = settings(root, config, overrides, protocol, recipe, weights, seed)
    places = Places.of(root, chosen)
    if exclude_overlap_with is not None:
        exclude(places, exclude_overlap_with)
    train_one(places, chosen, accept_leaks)


def exclude(places: Places, other: Path) -> None:
    """Take another site's pictures out of a prepared set's training and validation, until it is prepared again."""
    from brainslice.cohort.manifest import Manifest
    from brainslice.cohort.shared import exclude_overlap

    with watching() as progress:
        manifest = exclude_overlap(Manifest.read(places.data), other, places.cache, progress)
    if manifest.exclusion is not None:
        manifest.exclusion.write(places.data)
        note(manifest.exclusion.summary)


def train_one(places: Places, config: Config, accept_leaks: bool) -> None:
    """Train under one protocol and say what came of it."""
    from brainslice.report.history import draw_history
    from brainslice.train.run import train as train_network

    with watching() as progress:
        trained = train_network(places, config, accept_leaks=accept_leaks, progress=progress)
    info = trained.bundle.info
    origin = info.provenance
    of = (
        f"{origin.dataset}, {origin.protocol} protocol: {origin.train_images} scans of {origin.train_groups} groups "
        f"train, {origin.validation_images} of {origin.validation_groups} validate."
    )
    draw_history(trained.epochs, places.reports, info.marks, of)
    for line in trained.notes:
        note(line)
    checked = info.validation
    marks = f" [{', '.join(info.marks)}]" if info.marks else ""
    say(f"bundle{marks}: {places.bundle}")
    say(
        f"validation ({origin.protocol}, n = {checked.n}, chose the weights and the temperature): "
        f"accuracy {checked.accuracy:.3f}, ECE {checked.ece:.3f}, temperature {info.temperature:.3f}"
    )
