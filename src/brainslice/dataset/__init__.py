"""Data sets: discovery, duplicates, audit, splits and the manifest.

Public names are loaded on first use.
"""

from __future__ import annotations

from brainslice.lazy import lazy_names

_MODULES = {
    "audit.audit": "audit_folder",
    "audit.report": "AuditReport",
    "cache": "decode_outlines decode_scans scan_statistics",
    "discovery.archives": "is_archive unpack",
    "discovery.install": "unused_name",
    "discovery.sources": "SOURCES download",
    "duplicates.gallery": "draw_pairs",
    "duplicates.near_duplicates": "DuplicateKind DuplicatePair connected_groups find_duplicates",
    "duplicates.overlap": "exclude_overlap find_site_scans",
    "external": "ExternalSet prepare_external",
    "external_site": "ExternalSite SourceData read_external_site site_inputs",
    "manifest": "Manifest Record",
    "masks": "read_mask tumour_mask",
    "preparation": "PreparationOptions prepare_dataset",
    "prepared": "PreparedDataset",
    "splits.known_datasets": "NICKPARVAR find_mask known_scan recognise_dataset",
    "splits.split": "Protocol Split assign_folds check_leaks make_split split_validation",
    "splits.split_assignment": "SplitAssignment assign_split find_split fold_count join_splits reassign_split",
}

__getattr__ = lazy_names(__name__, _MODULES)
