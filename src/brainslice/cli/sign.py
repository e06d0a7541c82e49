"""``brainslice sign``: sign a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from brainslice.cli.console import print_line


def sign(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    key: Annotated[Path, typer.Option("--key", metavar="PEM", help="An Ed25519 private key.")],
) -> None:
    """Sign a bundle, so that --require-signature accepts it.

    The signature is a file beside the bundle; a changed bundle needs a new one.
    """
    from brainslice.bundle import sign_bundle

    print_line(f"signature: {sign_bundle(bundle, key)}")
