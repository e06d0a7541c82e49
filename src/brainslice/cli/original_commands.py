"""Options of the original commands, passed to the commands of today."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from brainslice.cli.data import download, prepare
from brainslice.cli.options import ConfigFile, Root, settings
from brainslice.cli.predict import predict
from brainslice.paths import ProjectPaths

Source: TypeAlias = Annotated[Path | None, typer.Option("--source", help="A folder or zip instead of the download.")]


def download_and_prepare(
    root: Root = Path(),
    val_size: Annotated[float | None, typer.Option("--val-size")] = None,
    copy: Annotated[bool, typer.Option("--copy/--use-symlinks")] = False,
    source: Source = None,
) -> None:
    """Download the main data set and prepare it."""
    if source is None:
        download("nickparvar", root)
    prepare(source or root / "downloads" / "nickparvar", root, val_size, copy=copy)


def download_external(
    root: Root = Path(),
    source: Source = None,
) -> None:
    """Download the external data set and lay it out."""
    if source is None:
        download("navoneel", root)
    prepare(source or root / "downloads" / "navoneel", root, external=True)


def infer(
    image: Annotated[list[Path], typer.Option("--image", help="A scan; may be given several times.")],
    config: ConfigFile = None,
    root: Root = Path(),
    threshold: Annotated[float | None, typer.Option("--threshold")] = None,
    gradcam: Annotated[bool, typer.Option("--gradcam", help="Write overlays to reports/gradcam.")] = False,
) -> None:
    """Classify scans with the trained bundle."""
    paths = ProjectPaths.of(root, settings(root, config, None))
    overlays = paths.reports / "gradcam" if gradcam else None
    predict([str(each) for each in image], root, paths.bundle, threshold, overlays)
