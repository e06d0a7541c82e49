"""A folder becomes a manifest.

The public names are loaded on first use: reading a manifest should not cost what looking for copies does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from brainslice.cohort.archives import is_archive, unpack
    from brainslice.cohort.audit import AuditReport, audit_folder
    from brainslice.cohort.decoded import decode, statistics
    from brainslice.cohort.external import External, prepare_external
    from brainslice.cohort.gallery import draw_pairs
    from brainslice.cohort.known import mask_of, recognise
    from brainslice.cohort.layout import Preparation, Prepared, prepare
    from brainslice.cohort.manifest import Manifest, Record
    from brainslice.cohort.sources import SOURCES, download
    from brainslice.cohort.split import (
        Protocol,
        Split,
        assign_folds,
        automatic_split,
        carve_validation,
        make_split,
        refuse_leaks,
    )
    from brainslice.cohort.twins import Twin, TwinKind, find_twins, groups_of

__all__ = [
    "SOURCES",
    "AuditReport",
    "External",
    "Manifest",
    "Preparation",
    "Prepared",
    "Protocol",
    "Record",
    "Split",
    "Twin",
    "TwinKind",
    "assign_folds",
    "audit_folder",
    "automatic_split",
    "carve_validation",
    "decode",
    "download",
    "draw_pairs",
    "find_twins",
    "groups_of",
    "is_archive",
    "make_split",
    "mask_of",
    "prepare",
    "prepare_external",
    "recognise",
    "refuse_leaks",
    "statistics",
    "unpack",
]

_HOMES = {
    "archives": ("is_archive", "unpack"),
    "audit": ("AuditReport", "audit_folder"),
    "decoded": ("decode", "statistics"),
    "external": ("External", "prepare_external"),
    "gallery": ("draw_pairs",),
    "known": ("mask_of", "recognise"),
    "layout": ("Preparation", "Prepared", "prepare"),
    "manifest": ("Manifest", "Record"),
    "sources": ("SOURCES", "download"),
    "split": (
        "Protocol",
        "Split",
        "assign_folds",
        "automatic_split",
        "carve_validation",
        "make_split",
        "refuse_leaks",
    ),
    "twins": ("Twin", "TwinKind", "find_twins", "groups_of"),
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first asked for."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"brainslice.cohort.{home}"), name)
    msg = f"module 'brainslice.cohort' has no attribute {name!r}"
    raise AttributeError(msg)
