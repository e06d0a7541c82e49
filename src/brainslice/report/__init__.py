"""Figures and documents of results; public names are loaded on first use."""

from __future__ import annotations

from brainslice.lazy import lazy_names

_MODULES = {
    "documents": "protocol_table warning_stamp",
    "external_site": "comparison_table curve_table external_tables site_table write_adaptation write_external",
    "figures.decision_curve": "write_operating_points",
    "figures.history": "draw_history",
    "figures.volume_curve": "save_curve",
    "html.page": "write_page",
    "robustness": "robustness_table write_robustness",
    "writer": "write_reports write_training_run",
}

__getattr__ = lazy_names(__name__, _MODULES)
