"""All files that an evaluation leaves."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from brainslice.bundle.model_card import model_card
from brainslice.evaluation.error_analysis import ErrorAnalysis
from brainslice.evaluation.explanation import Explained
from brainslice.evaluation.scoring import ScoredTestSet
from brainslice.files import write_json, write_text
from brainslice.report.documents import (
    FORMAT,
    calibration_metrics,
    card_lines,
    classification_report,
    summary,
)
from brainslice.report.figures.abstention import draw_abstention
from brainslice.report.figures.calibration import draw_calibration
from brainslice.report.figures.confusion_matrix import draw_confusion_matrices
from brainslice.report.figures.curves import draw_curves
from brainslice.report.mistakes import write_mistakes


def write_reports(
    judged: ScoredTestSet, explained: Explained, folder: Path, analysed: ErrorAnalysis | None = None
) -> None:
    """Draw every figure and write every document of one evaluation, each file whole or not at all.

    ``report.json`` comes last: where it stands, everything else does.

    Args:
        judged: A bundle, the test scans it met, and what came of it.
        explained: What was drawn and measured of the heat maps.
        folder: Where to write.
        analysed: What lies behind the mean; None where nobody looked.

    Raises:
        ResourceError: The disk is full.
    """
    evaluation, openings = judged.evaluation, judged.test_accesses
    draw_confusion_matrices(evaluation, folder)
    draw_curves(evaluation, folder)
    draw_calibration(evaluation, folder)
    draw_abstention(evaluation, folder)
    write_json(folder / "calibration_metrics.json", calibration_metrics(evaluation))
    write_text(folder / "classification_report.txt", classification_report(evaluation, openings))
    write_json(folder / "summary.json", summary(evaluation, openings))
    write_text(folder / "model_card.md", model_card(judged.predictor.bundle.info, card_lines(evaluation, openings)))
    if analysed is not None:
        write_mistakes(analysed, evaluation, folder)
    write_json(folder / "report.json", build_report(judged, explained, dt.datetime.now(dt.UTC), analysed))


def build_report(
    judged: ScoredTestSet, explained: Explained, written: dt.datetime, analysed: ErrorAnalysis | None = None
) -> dict[str, Any]:
    """Tell everything about one evaluation in plain types.

    The same model on the same scans gives the same report but for what stands under ``timestamps``: the bundle's
    digest stands there too, since it seals the time at which the bundle was made.

    Args:
        judged: A bundle, the test scans it met, and what came of it.
        explained: What was drawn and measured of the heat maps.
        written: When the report is written.
        analysed: What lies behind the mean; None where nobody looked.
    """
    info = judged.predictor.bundle.info
    told = info.model_dump(mode="json")
    kept = ("name", "backbone", "recipe", "temperature", "threshold", "provenance", "validation", "parity")
    on_mask = explained.on_mask
    return {
        "format": FORMAT,
        "test_openings": judged.test_accesses,
        "model": {name: told[name] for name in kept},
        "evaluation": judged.evaluation.to_json(),
        "explanation": {
            "overlays": list(explained.overlays),
            "on_tumours": None if on_mask is None else on_mask.to_json(),
        },
        "analysis": None if analysed is None else analysed.to_json(),
        "timestamps": {
            "bundle_created": told["created"],
            "bundle_digest": info.digest,
            "report_written": written.isoformat(timespec="seconds"),
        },
    }
