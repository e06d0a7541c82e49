"""Data sets: discovery, duplicates, audit, splits and the manifest.

Public names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.dataset.audit.audit import AuditReport, audit_folder
    from brainslice.dataset.cache import decode_outlines, decode_scans, scan_statistics
    from brainslice.dataset.discovery.archives import is_archive, unpack
    from brainslice.dataset.discovery.install import unused_name
    from brainslice.dataset.discovery.sources import SOURCES, download
    from brainslice.dataset.duplicates.gallery import draw_pairs
    from brainslice.dataset.duplicates.near_duplicates import (
        DuplicateKind,
        DuplicatePair,
        connected_groups,
        find_duplicates,
    )
    from brainslice.dataset.duplicates.overlap import exclude_overlap, find_site_scans
    from brainslice.dataset.external import ExternalSet, prepare_external
    from brainslice.dataset.external_site import ExternalSite, SourceData, read_external_site, site_inputs
    from brainslice.dataset.manifest import Manifest, Record
    from brainslice.dataset.masks import read_mask, tumour_mask
    from brainslice.dataset.preparation import PreparationOptions, prepare_dataset
    from brainslice.dataset.prepared import PreparedDataset
    from brainslice.dataset.splits.known_datasets import NICKPARVAR, find_mask, known_scan, recognise_dataset
    from brainslice.dataset.splits.split import (
        Protocol,
        Split,
        assign_folds,
        check_leaks,
        make_split,
        split_validation,
    )
    from brainslice.dataset.splits.split_assignment import (
        SplitAssignment,
        assign_split,
        find_split,
        fold_count,
        join_splits,
        reassign_split,
    )

__all__ = [
    "NICKPARVAR",
    "SOURCES",
    "AuditReport",
    "DuplicateKind",
    "DuplicatePair",
    "ExternalSet",
    "ExternalSite",
    "Manifest",
    "PreparationOptions",
    "PreparedDataset",
    "Protocol",
    "Record",
    "SourceData",
    "Split",
    "SplitAssignment",
    "assign_folds",
    "assign_split",
    "audit_folder",
    "check_leaks",
    "connected_groups",
    "decode_outlines",
    "decode_scans",
    "download",
    "draw_pairs",
    "exclude_overlap",
    "find_duplicates",
    "find_mask",
    "find_site_scans",
    "find_split",
    "fold_count",
    "is_archive",
    "join_splits",
    "known_scan",
    "make_split",
    "prepare_dataset",
    "prepare_external",
    "read_external_site",
    "read_mask",
    "reassign_split",
    "recognise_dataset",
    "scan_statistics",
    "site_inputs",
    "split_validation",
    "tumour_mask",
    "unpack",
    "unused_name",
]

_HOMES = {
    "audit.audit": ("AuditReport", "audit_folder"),
    "cache": ("decode_outlines", "decode_scans", "scan_statistics"),
    "discovery.archives": ("is_archive", "unpack"),
    "discovery.install": ("unused_name",),
    "discovery.sources": ("SOURCES", "download"),
    "duplicates.gallery": ("draw_pairs",),
    "duplicates.near_duplicates": ("DuplicateKind", "DuplicatePair", "connected_groups", "find_duplicates"),
    "duplicates.overlap": ("exclude_overlap", "find_site_scans"),
    "external": ("ExternalSet", "prepare_external"),
    "external_site": ("ExternalSite", "SourceData", "read_external_site", "site_inputs"),
    "manifest": ("Manifest", "Record"),
    "masks": ("read_mask", "tumour_mask"),
    "preparation": ("PreparationOptions", "prepare_dataset"),
    "prepared": ("PreparedDataset",),
    "splits.known_datasets": ("NICKPARVAR", "find_mask", "known_scan", "recognise_dataset"),
    "splits.split": (
        "Protocol",
        "Split",
        "assign_folds",
        "check_leaks",
        "make_split",
        "split_validation",
    ),
    "splits.split_assignment": (
        "SplitAssignment",
        "assign_split",
        "find_split",
        "fold_count",
        "join_splits",
        "reassign_split",
    ),
}

__getattr__ = lazy_names(__name__, _HOMES)
