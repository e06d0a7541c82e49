"""``brainslice download``: the public data sets, where the network allows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brainslice.cli.console import print_line, progress_bars
from brainslice.cli.options import Root


def download(
    name: Annotated[str, typer.Argument(help="nickparvar (four classes) or navoneel (yes/no).")],
    root: Root = Path(),
) -> None:
    """Download a public data set from Kaggle.

    It is the version this program knows, so that the scans do not change under it.
    """
    from brainslice.dataset.discovery import sources

    with progress_bars() as progress:
        folder = sources.download(name, root / "downloads" / name, progress)
    verb = "prepare --external" if name == "navoneel" else "prepare"
    print_line(f"{name}: {folder}")
    print_line(f"next: brainslice {verb} {folder}")
