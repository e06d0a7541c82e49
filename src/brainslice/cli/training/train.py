"""``brainslice train``: a prepared set becomes a bundle."""

from __future__ import annotations

from pathlib import Path

from brainslice import api
from brainslice.cli.console import print_line, print_note, progress_bars
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
from brainslice.paths import ProjectPaths


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
    places = ProjectPaths.of(root, chosen)
    if exclude_overlap_with is not None:
        exclude(places, exclude_overlap_with)
    train_one(places, chosen, accept_leaks)


def exclude(places: ProjectPaths, other: Path) -> None:
    """Take another site's pictures out of a prepared set's training and validation, until it is prepared again."""
    from brainslice.dataset.duplicates.overlap import exclude_overlap
    from brainslice.dataset.manifest import Manifest

    with progress_bars() as progress:
        manifest = exclude_overlap(Manifest.read(places.data), other, places.cache, progress)
    if manifest.exclusion is not None:
        manifest.exclusion.write(places.data)
        print_note(manifest.exclusion.summary)


def train_one(places: ProjectPaths, config: Config, accept_leaks: bool) -> None:
    """Train under one protocol and print the result."""
    with progress_bars() as progress:
        trained = api.train(places.root, config=config, accept_leaks=accept_leaks, progress=progress)
    info = trained.bundle.info
    for line in trained.notes:
        print_note(line)
    checked = info.validation
    warnings = f" [{', '.join(info.warnings)}]" if info.warnings else ""
    print_line(f"bundle{warnings}: {places.bundle}")
    print_line(
        f"validation ({info.provenance.protocol}, n = {checked.n}, chose the weights and the temperature): "
        f"accuracy {checked.accuracy:.3f}, ECE {checked.ece:.3f}, temperature {info.temperature:.3f}"
    )
