"""``brainslice prepare``: a downloaded folder or archive becomes a set to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brainslice.cli.console import print_line, print_note, progress_bars
from brainslice.cli.options import ConfigFile, ExcludeOverlap, Overrides, Root, settings
from brainslice.cli.training.train import exclude
from brainslice.errors import UnreadableScanError
from brainslice.paths import ProjectPaths


def prepare(
    source: Annotated[
        Path, typer.Argument(help="A folder or zip: Training/Testing, train/val/test, or class folders.")
    ],
    root: Root = Path(),
    val_size: Annotated[
        float | None,
        typer.Option("--val-size", help="Official split: share of train that validates; data.valid_split by default."),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", metavar="CSV", help="A table in place of class folders: path, label.")
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
    """Prepare a data set for training.

    Class names are normalised, related scans are grouped and splits are made; an older set stays until the new one is
    whole.
    """
    from brainslice.dataset import preparation

    chosen = settings(root, config, overrides)
    if external:
        _external(source, root)
        return
    options = preparation.PreparationOptions.of(chosen, val_size=val_size, copy=copy, labels_table=labels)
    with progress_bars() as progress:
        prepared = preparation.prepare_dataset(source, root, options, progress)
    for line in prepared.summary_lines():
        print_line(line)
    if exclude_overlap_with is not None:
        exclude(ProjectPaths.of(root, chosen), exclude_overlap_with)
    _report_unreadable(prepared.unreadable)


def _external(source: Path, root: Path) -> None:
    from brainslice.dataset import external

    with progress_bars() as progress:
        placed = external.prepare_external(source, root, progress=progress)
    print_line(f"{placed.folder}: {placed.summary}")
    for line in placed.notes:
        print_note(line)
    _report_unreadable(placed.unreadable)


def _report_unreadable(unreadable: tuple[tuple[str, str], ...]) -> None:
    for _, reason in unreadable:
        print_note(reason)
    if unreadable:
        msg = f"{len(unreadable)} files could not be read and were left out; everything else is prepared"
        raise UnreadableScanError(msg)
