"""Commands for data: ``download``, ``prepare``, ``audit``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brainslice import api
from brainslice.cli.console import print_json, print_line, print_note, progress_bars
from brainslice.cli.options import ConfigFile, ExcludeOverlap, Overrides, Root, settings
from brainslice.errors import UnreadableScanError
from brainslice.paths import writes_project

if TYPE_CHECKING:
    from brainslice.config import Config


def download(
    name: Annotated[str, typer.Argument(help="nickparvar (four classes) or navoneel (yes/no).")],
    root: Root = Path(),
) -> None:
    """Download a public data set from Kaggle, in a pinned version."""
    with progress_bars() as progress:
        folder = api.download(name, root, progress=progress)
    print_line(f"{name}: {folder}")
    print_line(f"next: brainslice prepare {'--external ' if name == 'navoneel' else ''}{folder}")


@writes_project("preparing data")
def prepare(
    source: Annotated[
        Path, typer.Argument(help="A folder or zip: Training/Testing, train/val/test, or class folders.")
    ],
    root: Root = Path(),
    val_size: Annotated[
        float | None, typer.Option("--val-size", help="Official split: share of validation scans; or data.valid_split.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", metavar="CSV", help="A table in place of class folders: path, label.")
    ] = None,
    copy: Annotated[
        bool, typer.Option("--copy/--use-symlinks", help="Copy the files, or link to them where possible.")
    ] = False,
    external: Annotated[
        bool, typer.Option("--external", help="SOURCE is a yes/no set of another site, for data/external_navoneel.")
    ] = False,
    exclude_overlap_with: ExcludeOverlap = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """Prepare a data set for training.

    Normalises class names, groups related scans and splits by group. An older set stays until the new one is complete.
    """
    chosen = settings(root, config, overrides)
    if external:
        _prepare_external(source, root)
        return
    with progress_bars() as progress:
        prepared = api.prepare(
            source, root, config=chosen, val_size=val_size, labels=labels, copy=copy, progress=progress
        )
    for line in prepared.summary_lines():
        print_line(line)
    if exclude_overlap_with is not None:
        exclude(root, chosen, exclude_overlap_with)
    _list_unreadable(prepared.unreadable)


def exclude(root: Path, config: Config, other: Path) -> None:
    """Exclude another site's scans and print how many."""
    with progress_bars() as progress:
        manifest = api.exclude_overlap(other, root, config=config, progress=progress)
    if manifest.exclusion is not None:
        print_note(manifest.exclusion.summary)


def audit(
    folder: Annotated[Path, typer.Argument(help="A folder of scans: with splits, with classes, or flat.")],
    against: Annotated[
        Path | None, typer.Option("--against", help="Another folder; scans that are in both are listed.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    gallery: Annotated[
        Path | None, typer.Option("--gallery", metavar="PNG", help="Draw the pairs found, side by side.")
    ] = None,
) -> None:
    """Find duplicates, leaks and shortcuts in a data set.

    Lists copies (mirrored, cropped and re-encoded ones too), leaks across splits, unreadable files, and properties of
    files that predict the class.
    """
    from brainslice.dataset import draw_pairs

    with progress_bars() as progress:
        report = api.audit(folder, against, progress=progress)
    if gallery is not None:
        draw_pairs(report, gallery)
        print_note(f"pairs drawn in {gallery}")
    if as_json:
        print_json("audit", report.to_json(), indent=2)
    else:
        for line in report.summary_lines():
            print_line(line)
    if report.unreadable:
        msg = f"{folder}: {len(report.unreadable)} files could not be read; all others were audited"
        raise UnreadableScanError(msg)


def _prepare_external(source: Path, root: Path) -> None:
    with progress_bars() as progress:
        placed = api.prepare_external(source, root, progress=progress)
    print_line(f"{placed.folder}: {placed.summary}")
    for line in placed.notes:
        print_note(line)
    _list_unreadable(placed.unreadable)


def _list_unreadable(unreadable: tuple[tuple[str, str], ...]) -> None:
    for _, reason in unreadable:
        print_note(reason)
    if unreadable:
        msg = f"{len(unreadable)} files could not be read and were left out; everything else is prepared"
        raise UnreadableScanError(msg)
