"""``brainslice audit``: what is wrong with a data set before anything is trained on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brainslice.cli.console import print_json, print_line, print_note, progress_bars
from brainslice.errors import UnreadableScanError


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
    """Find what makes a data set unfair.

    Copies (mirrored, cropped and re-encoded ones too), leaks across splits, unreadable files, and properties of files
    that give the class away.
    """
    from brainslice.dataset.audit.audit import audit_folder
    from brainslice.dataset.duplicates.gallery import draw_pairs

    with progress_bars() as progress:
        report = audit_folder(folder, against, progress)
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
