"""``brainslice prepare``: a downloaded folder or archive becomes a set to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brainslice.cli.console import note, say, watching
from brainslice.cli.options import ConfigFile, ExcludeOverlap, Overrides, Root, settings
from brainslice.cli.train import exclude
from brainslice.errors import UnreadableScanError
from brainslice.labels import LabelSet
from brainslice.places import Places


def prepare(
    source: Annotated[
        Path, typer.Argument(help="A folder or zip: Training/Testing, train/val/test, or class folders.")
    ],
    root: Root = Path(),
    val_size: Annotated[
        float | None,
        typer.Option("--val-size", help="Share of train that validates; data.valid_split by default."),
    ] = None,
    copy: Annotated[
        bool,
        typer.Option("--copy/--use-symlinks", help="Copy the files, or link to them where the system can."),
    ] = False,
    external: Annotated[
        bool, typer.Option("--external", help="SOURCE is a yes/no set of another site, for data/external_navoneel.")
    ] = False,
    exclude_overlap_with: ExcludeOverlap = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """Lay a data set out for training.

    Class names are normalised, relatives are found and splits are made; an older set stays until the new one is whole.
    """
    from brainslice.cohort import layout

    chosen = settings(root, config, overrides)
    if external:
        _external(source, root)
        return
    options = layout.Preparation(
        val_size=chosen.data.valid_split if val_size is None else val_size,
        copy=copy,
        seed=chosen.seed,
        folds=chosen.data.folds,
        labels=LabelSet(chosen.data.class_names, chosen.data.healthy_class),
    )
    with watching() as progress:
        prepared = layout.prepare(source, root, options, progress)
    for line in prepared.summary_lines():
        say(line)
    if exclude_overlap_with is not None:
        exclude(Places.of(root, chosen), exclude_overlap_with)
    _tell_unreadable(prepared.unreadable)


def _external(source: Path, root: Path) -> None:
    from brainslice.cohort import layout

    with watching() as progress:
        placed = layout.prepare_external(source, root, progress=progress)
    say(f"{placed.folder}: {placed.summary}")
    _tell_unreadable(placed.unreadable)


def _tell_unreadable(unreadable: tuple[tuple[str, str], ...]) -> None:
    for _, reason in unreadable:
        note(reason)
    if unreadable:
        msg = f"{len(unreadable)} files could not be read and were left out; everything else is prepared"
        raise UnreadableScanError(msg)
