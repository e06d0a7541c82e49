"""The bundle that ships with the package, so that predicting works at once and without any network."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from brainslice.bundle.types import INFO_FILE
from brainslice.errors import BundleError
from brainslice.files import replaced_folder

DEFAULT_BUNDLE: Final = Path(__file__).resolve().parent.parent / "default_bundle"
"""Where the bundle lies that ships; an installation without it still runs bundles of its own."""


def open_bundle_or_default(project: Path | None = None) -> Path:
    """Choose the bundle to use where none was named: the project's own, or else the one that ships.

    Args:
        project: The folder of a project; None where there is none.

    Returns:
        The bundle's folder, not yet checked. Where a killed run left the project's bundle moved aside, that one.

    Raises:
        BundleError: The project's bundle is gone, or it never had one and none ships with this installation.
    """
    own = None if project is None else project / "models" / "bundle"
    if own is not None and own.exists():
        return own
    if own is not None and (aside := replaced_folder(own)) is not None:
        return aside
    if own is not None and own.with_name("best.keras").exists():
        msg = f"{own}: the bundle of this trained project is missing; train again, or name a bundle with --bundle"
        raise BundleError(msg)
    if (DEFAULT_BUNDLE / INFO_FILE).is_file():
        return DEFAULT_BUNDLE
    where = "" if project is None else f"{project / 'models' / 'bundle'}: there is no such bundle, and "
    msg = f"{where}no bundle ships with this installation; train one, or name one with --bundle"
    raise BundleError(msg)
