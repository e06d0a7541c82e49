"""``brainslice crossval``: every fold tests once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brainslice.cli.console import note, say, table, watching
from brainslice.cli.options import ConfigFile, Overrides, RecipeName, Root, Seed, Weights, settings
from brainslice.errors import UsageError


def crossval(
    folds: Annotated[
        int | None,
        typer.Option("--folds", help="How many; must be the number the set was prepared with (data.folds)."),
    ] = None,
    root: Root = Path(),
    config: ConfigFile = None,
    overrides: Overrides = None,
    recipe: RecipeName = None,
    weights: Weights = None,
    seed: Seed = None,
) -> None:
    """Cross-validate by group: train once a fold, test each scan once; interrupted, it goes on with the next fold."""
    from brainslice.train.crossval import cross_validate

    chosen = settings(root, config, overrides, "clean", recipe, weights, seed)
    if folds is not None and folds != chosen.data.folds:
        msg = (
            f"--folds must be data.folds of the configuration, {chosen.data.folds}, got {folds}; prepare the set with "
            f"--set data.folds={folds} first"
        )
        raise UsageError(msg)
    with watching() as progress:
        result = cross_validate(root, chosen, progress)
    table(result.title, result.header, result.rows)
    for line in result.footnotes:
        say(line)
    note(f"saved in {result.path}")
