"""Tables of predictions, one row a scan.

Public names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.tables.columns import cells_of, columns_of, row_of
    from brainslice.tables.scan_listing import ListedScan, display_path, fingerprint, list_paths
    from brainslice.tables.table import answers, predict_tree
    from brainslice.tables.worklist import WorklistRow

__all__ = [
    "ListedScan",
    "WorklistRow",
    "answers",
    "cells_of",
    "columns_of",
    "display_path",
    "fingerprint",
    "list_paths",
    "predict_tree",
    "row_of",
]

_HOMES = {
    "columns": ("cells_of", "columns_of", "row_of"),
    "scan_listing": ("ListedScan", "display_path", "fingerprint", "list_paths"),
    "table": ("answers", "predict_tree"),
    "worklist": ("WorklistRow",),
}

__getattr__ = lazy_names(__name__, _HOMES)
