"""Figures and documents of results; public names are loaded on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.report.claims import RESULTS_FOLDER, check_documents, fill_documents, read_results
    from brainslice.report.documents import Table, protocol_table
    from brainslice.report.external_site import (
        adaptation_tables,
        external_tables,
        site_table,
        write_adaptation,
        write_external,
    )
    from brainslice.report.figures.decision_curve import write_operating_points
    from brainslice.report.figures.history import draw_history
    from brainslice.report.figures.volume_curve import save_curve
    from brainslice.report.html.artefacts import read_json, reports_folder
    from brainslice.report.html.page import write_page
    from brainslice.report.robustness import robustness_table, write_robustness
    from brainslice.report.writer import write_reports, write_training_run

__getattr__ = lazy_names(__name__)
