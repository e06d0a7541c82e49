"""Tables of predictions, a row for each scan; public names are loaded on first use."""

from __future__ import annotations

from brainslice.lazy import lazy_names

_MODULES = {
    "columns": "cells_of columns_of row_of",
    "scan_listing": "ListedScan display_path fingerprint list_paths",
    "table": "answers predict_tree",
    "worklist": "WorklistRow",
}

__getattr__ = lazy_names(__name__, _MODULES)
