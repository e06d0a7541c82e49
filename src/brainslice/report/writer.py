"""Write all files of an evaluation."""

from __future__ import annotations

import datetime as dt
import os
import platform
from collections import Counter
from pathlib import Path
from typing import Any

from brainslice.bundle import render_model_card
from brainslice.config import Config
from brainslice.evaluation import ErrorAnalysis, Explained, ScoredTestSet
from brainslice.files import write_json, write_text
from brainslice.report.documents import FORMAT, calibration_metrics, card_lines, classification_report, summary
from brainslice.report.figures.evaluation import (
    draw_abstention,
    draw_calibration,
    draw_confusion_matrices,
    draw_curves,
)
from brainslice.report.mistakes import write_mistakes


def write_reports(
    scored: ScoredTestSet,
    explained: Explained,
    folder: Path,
    analysis: ErrorAnalysis | None = None,
    seconds: float | None = None,
) -> None:
    """Write every figure and document of one evaluation, each file whole or not at all.

    ``report.json`` is written last, so that its presence means that the others are complete.

    Args:
        scored: The evaluated bundle and its results on the test scans.
        explained: The heat maps drawn, and their share on lesion masks.
        folder: Where to write.
        analysis: Mistakes and metrics by subgroup; None to leave them out.
        seconds: Wall time of the evaluation.

    Raises:
        ResourceError: The disk is full.
    """
    evaluation, accesses = scored.evaluation, scored.test_accesses
    for draw in (draw_confusion_matrices, draw_curves, draw_calibration, draw_abstention):
        draw(evaluation, folder)
    write_json(folder / "calibration_metrics.json", calibration_metrics(evaluation), "calibration-metrics")
    write_text(folder / "classification_report.txt", classification_report(evaluation, accesses))
    write_json(folder / "summary.json", summary(evaluation, accesses), "summary")
    write_text(
        folder / "model_card.md", render_model_card(scored.predictor.bundle.info, card_lines(evaluation, accesses))
    )
    if analysis is not None:
        write_mistakes(analysis, evaluation, folder)
    report = build_report(scored, explained, dt.datetime.now(dt.UTC), analysis, seconds)
    write_json(folder / "report.json", report, "report")


def build_report(
    scored: ScoredTestSet,
    explained: Explained,
    written: dt.datetime,
    analysis: ErrorAnalysis | None = None,
    seconds: float | None = None,
) -> dict[str, Any]:
    """Return the contents of ``report.json``.

    The same model on the same scans gives the same report except for ``timestamps``, which also holds the machine, and
    the bundle's digest, which in bundles without a seal depends on the time at which the bundle was made.

    Args:
        scored: The evaluated bundle and its results on the test scans.
        explained: The heat maps drawn, and their share on lesion masks.
        written: When the report is written.
        analysis: Mistakes and metrics by subgroup; None to leave them out.
        seconds: Wall time of the evaluation.
    """
    info = scored.predictor.bundle.info
    fields = info.model_dump(mode="json")
    kept = ("name", "backbone", "recipe", "temperature", "threshold", "provenance", "validation", "parity")
    return {
        "format": FORMAT,
        "test_openings": scored.test_accesses,
        "model": {name: fields[name] for name in kept},
        "evaluation": scored.evaluation.to_json(),
        "explanation": {
            "overlays": list(explained.overlays),
            "on_tumours": None if explained.on_mask is None else explained.on_mask.to_json(),
        },
        "analysis": None if analysis is None else analysis.to_json(),
        "cohort": _cohort(scored),
        "timestamps": {
            "bundle_created": fields["created"],
            "bundle_digest": info.digest,
            "report_written": written.isoformat(timespec="seconds"),
            "evaluation_seconds": None if seconds is None else round(seconds, 1),
            "machine": machine(),
        },
    }


def write_training_run(folder: Path, config: Config, seconds: float) -> None:
    """Write ``training_run.json``: settings, machine, and wall time of a training since it was last resumed."""
    settings = config.model_dump(mode="json", exclude={"log"})
    run = {"settings": settings, "seconds": round(seconds, 1), "machine": machine()}
    write_json(folder / "training_run.json", run, "training-run")


def machine() -> dict[str, Any]:
    """Describe this computer: system, processor, number of cores, Python version."""
    return {
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def _cohort(scored: ScoredTestSet) -> dict[str, Any]:
    """Count scans, groups and classes of the set and of each part of the split."""
    manifest, split = scored.manifest, scored.split
    parts = {}
    for name, rows in (("train", split.train), ("validation", split.validation), ("test", split.test)):
        records = [manifest.records[row] for row in rows.tolist()]
        counts = Counter(record.label for record in records)
        classes = {label: counts[label] for label in manifest.labels.names}
        parts[name] = {"n": len(records), "groups": len({record.group for record in records}), "classes": classes}
    exclusion = manifest.exclusion
    return {
        "n": len(manifest.records),
        "groups": len({record.group for record in manifest.records}),
        "groups_from": manifest.groups_from,
        "outlines": manifest.masks is not None,
        "excluded": None if exclusion is None else {"against": exclusion.against, "n": len(exclusion.paths)},
        "crossing_test": split.crossing,
        "crossing_validation": split.crossing_validation,
        "parts": parts,
    }
