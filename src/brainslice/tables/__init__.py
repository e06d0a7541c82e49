"""Tables of predictions, a row for each scan; public names are loaded on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.tables.case_names import CaseNames, read_pseudonym_key
    from brainslice.tables.columns import cells_of, columns_of, row_of
    from brainslice.tables.scan_listing import (
        ArchivePart,
        ListedScan,
        display_path,
        fingerprint,
        is_searched,
        list_paths,
        list_scans,
    )
    from brainslice.tables.shards import ShardOptions, predict_shards
    from brainslice.tables.table import TableOptions, TableSummary, predict_paths, predict_tree
    from brainslice.tables.worklist import WorklistRow, make_worklist

__getattr__ = lazy_names(__name__)
