"""``brainslice sweep``: search for settings of the training."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brainslice import api
from brainslice.cli.console import print_line, print_note, print_table, progress_bars
from brainslice.cli.options import (
    ConfigFile,
    Engine,
    Overrides,
    ProtocolName,
    RecipeName,
    Root,
    Seed,
    Weights,
    settings,
)
from brainslice.errors import UsageError

if TYPE_CHECKING:
    from brainslice.training import Sweep

_SHOWN = 10


def sweep(
    space: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUES",
            help="Settings to search: ranges train.lr=log:1e-4..1e-2 and model.dropout=0..0.5, or choices A|B.",
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--space", metavar="FILE", help="A YAML file of them, a line KEY: VALUES each.")
    ] = None,
    trials: Annotated[int, typer.Option("--trials", min=1, help="The number of trials, earlier runs included.")] = 20,
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Trials at a time, each in a process of its own.")
    ] = 1,
    engine: Engine = "local",
    name: Annotated[str, typer.Option("--name", help="Results are in reports/sweep/NAME.")] = "sweep",
    root: Root = Path(),
    config: ConfigFile = None,
    overrides: Overrides = None,
    protocol: ProtocolName = None,
    recipe: RecipeName = None,
    weights: Weights = None,
    seed: Seed = None,
) -> None:
    """Search for training settings with Optuna.

    Trials are compared on validation scans only. An interrupted sweep resumes.
    """
    if bool(space) == (file is not None):
        msg = "sweep needs settings to search, such as train.quick.lr=log:1e-4..1e-2, or a file --space, and not both"
        raise UsageError(msg)
    with progress_bars() as progress:
        result = api.sweep(
            space or file or (),
            root,
            trials=trials,
            workers=workers,
            engine=engine,
            name=name,
            config=settings(root, config, overrides, protocol, recipe, weights, seed),
            progress=progress,
        )
    _show(result)


def _show(result: Sweep) -> None:
    finished = [row for row in result.trials if row["state"] == "complete"]
    best = sorted(finished, key=lambda row: float(row["validation_score"]))[:_SHOWN]
    rows = [
        [
            f"trial {row['number']}",
            f"{row['validation_score']:.4f}",
            f"{row['validation_accuracy']:.3f}",
            ", ".join(f"{key}={value}" for key, value in row["settings"].items()),
        ]
        for row in best
    ]
    print_table("best trials, on validation scans", ["", "loss at its best temperature", "accuracy", "settings"], rows)
    states = [row["state"] for row in result.trials]
    counts = f"{len(finished)} complete, {states.count('pruned')} pruned, {states.count('fail')} failed"
    print_line(f"{len(states)} trials: {counts}")
    print_line("best: " + " ".join(f"--set {shlex.quote(each)}" for each in result.overrides))
    print_line(f"as a configuration, for brainslice train --config: {result.folder / 'best.yaml'}")
    print_note(f"all trials: {result.folder / 'trials.csv'}; validation scans chose the best: its score is optimistic")
