"""The bundle that ships with the package, so that predicting works at once and without any network."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from brainslice.bundle.types import INFO_FILE
from brainslice.errors import BundleError

DEFAULT_BUNDLE: Final = Path(__file__).resolve().parent.parent / "default_bundle"
"""Where the bundle lies that ships; an installation without it still runs bundles of its own."""


def open_bundle_or_default(project: Path | None = None) -> Path:
    """Choose the bundle that answers where nobody named one: the project's own, or else the one that ships.

    Args:
        project: The folder of a project; None where there is none.

    Returns:
        The bundle's folder, not yet checked.

    Raises:
        BundleError: The project has none, and none ships with this installation.
    """
    if project is not None and (own := project / "models" / "bundle").exists():
        return own
    if (DEFAULT_BUNDLE / INFO_FILE).is_file():
        return DEFAULT_BUNDLE
    where = "" if project is None else f"{project / 'models' / 'bundle'}: there is no such bundle, and "
    msg = f"{where}no bundle ships with this installation; train one, or name one with --bundle"
    raise BundleError(msg)
