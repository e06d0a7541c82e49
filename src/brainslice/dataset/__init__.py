"""Data sets: discovery, duplicates, audit, splits and the manifest.

Public names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.dataset.audit.audit import audit_folder
    from brainslice.dataset.audit.report import AuditReport
    from brainslice.dataset.cache import decode_outlines, decode_scans, read_record, scan_deciles, scan_statistics
    from brainslice.dataset.discovery.archives import unpacked
    from brainslice.dataset.discovery.install import unused_name
    from brainslice.dataset.discovery.sources import download
    from brainslice.dataset.duplicates.fingerprint import compute_fingerprint
    from brainslice.dataset.duplicates.gallery import draw_pairs
    from brainslice.dataset.duplicates.near_duplicates import DuplicatePair, find_duplicates
    from brainslice.dataset.duplicates.overlap import exclude_overlap, find_site_scans
    from brainslice.dataset.external import ExternalSet, prepare_external
    from brainslice.dataset.external_site import ExternalSite, SourceData, read_external_site, site_inputs
    from brainslice.dataset.manifest import Manifest, Record
    from brainslice.dataset.masks import read_mask, tumour_mask
    from brainslice.dataset.preparation import PreparationOptions, prepare_dataset
    from brainslice.dataset.prepared import PreparedDataset
    from brainslice.dataset.splits.known_datasets import COLUMNS, NICKPARVAR, known_scan, perceptual_hash
    from brainslice.dataset.splits.split import Split, assign_folds, check_leaks
    from brainslice.dataset.splits.split_assignment import (
        SplitAssignment,
        assign_split,
        find_split,
        fold_count,
        join_splits,
        reassign_split,
    )

__getattr__ = lazy_names(__name__)
