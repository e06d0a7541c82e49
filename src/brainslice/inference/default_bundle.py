"""The bundle that ships with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from brainslice.bundle import INFO_FILE
from brainslice.errors import BundleError
from brainslice.files import replaced_folder

DEFAULT_BUNDLE: Final = Path(__file__).resolve().parent.parent / "default_bundle"
"""The folder of the shipped bundle, which an installation may lack."""


def open_bundle_or_default(project: Path | None = None) -> Path:
    """Return the bundle of a project, its backup after a killed run, or the shipped bundle; not yet verified.

    Raises:
        BundleError: A trained project lacks its bundle, or there is no shipped bundle.
    """
    own = None if project is None else project / "models" / "bundle"
    if own is not None and own.exists():
        return own
    if own is not None and (backup := replaced_folder(own)) is not None:
        return backup
    if own is not None and own.with_name("best.keras").exists():
        msg = f"{own}: the bundle of this trained project is missing; train again, or give a bundle with --bundle"
        raise BundleError(msg)
    if (DEFAULT_BUNDLE / INFO_FILE).is_file():
        return DEFAULT_BUNDLE
    where = "" if project is None else f"{project / 'models' / 'bundle'}: there is no such bundle, and "
    msg = f"{where}no bundle ships with this installation; train one, or give one with --bundle"
    raise BundleError(msg)
