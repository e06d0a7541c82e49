"""Figures and documents of results.

Public names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.report.captions import warning_stamp
    from brainslice.report.documents import protocol_table
    from brainslice.report.external_site import (
        comparison_table,
        curve_table,
        external_tables,
        site_table,
        write_adaptation,
        write_external,
    )
    from brainslice.report.figures.decision_curve import write_operating_points
    from brainslice.report.figures.history import draw_history
    from brainslice.report.figures.volume_curve import save_curve
    from brainslice.report.writer import write_reports

__all__ = [
    "comparison_table",
    "curve_table",
    "draw_history",
    "external_tables",
    "protocol_table",
    "save_curve",
    "site_table",
    "warning_stamp",
    "write_adaptation",
    "write_external",
    "write_operating_points",
    "write_reports",
]

_HOMES = {
    "captions": ("warning_stamp",),
    "documents": ("protocol_table",),
    "external_site": (
        "comparison_table",
        "curve_table",
        "external_tables",
        "site_table",
        "write_adaptation",
        "write_external",
    ),
    "figures.decision_curve": ("write_operating_points",),
    "figures.history": ("draw_history",),
    "figures.volume_curve": ("save_curve",),
    "writer": ("write_reports",),
}

__getattr__ = lazy_names(__name__, _HOMES)
