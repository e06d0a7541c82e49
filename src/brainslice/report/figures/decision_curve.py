"""Operating points as files, and the decision curve as a figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from brainslice.evaluation.operating_points import OperatingPointResult
from brainslice.files import write_json
from brainslice.metrics.curves.decision_curve import DecisionCurve
from brainslice.report.captions import warning_stamp
from brainslice.report.figures.style import BLUE, GREEN, GREY, VERMILION, FigureFile, figure


def write_operating_points(
    found: tuple[OperatingPointResult, ...], curve: DecisionCurve, words: str, marks: tuple[str, ...], folder: Path
) -> None:
    """Write each operating point as JSON, and the decision curve as numbers and as a figure.

    Args:
        found: What was found.
        curve: Net benefit on the scans that are reported on.
        words: Which scans these are.
        marks: Warnings that no reader may miss.
        folder: Where to write; what other searches left there stays.

    Raises:
        ResourceError: The disk is full.
    """
    for each in found:
        write_json(folder / f"{each.point.name}.json", {"warnings": list(marks), **each.to_json()})
    write_json(folder / "decision_curve.json", {"data": words, "warnings": list(marks), **curve.to_json()})
    draw_decision_curve(curve, found, words, marks, folder / "decision_curve")


def draw_decision_curve(
    curve: DecisionCurve, found: tuple[OperatingPointResult, ...], words: str, marks: tuple[str, ...], path: Path
) -> None:
    """Draw net benefit against the threshold probability, as PNG and SVG.

    Args:
        curve: What is drawn.
        found: Operating points, whose thresholds are marked.
        words: Which scans it was counted on.
        marks: Warnings that no reader may miss.
        path: The file, without an ending.

    Raises:
        ResourceError: The disk is full.
    """
    warning = "".join(f" {warning_stamp(mark)}." for mark in marks)
    caption = (
        "Net benefit of acting on scans whose P(tumour) reaches the threshold probability, beside acting on all and "
        f"on none, at a prevalence of {curve.prevalence:.3g}. Data: {words}, n = {curve.n} of {curve.groups} groups. "
        f"Band: from exact intervals of sensitivity and specificity, {curve.level:.0%}.{warning}"
    )
    with figure(FigureFile(path, 5.4, 3.9, caption, marks)) as drawn:
        axes = drawn.subplots()
        axes.fill_between(curve.threshold_probabilities, curve.low, curve.high, color=BLUE, alpha=0.18, linewidth=0)
        axes.plot(curve.threshold_probabilities, curve.model, color=BLUE, label="acting on the model")
        axes.plot(
            curve.threshold_probabilities, curve.treat_all, color=VERMILION, linestyle="--", label="acting on all"
        )
        axes.axhline(0.0, color=GREY, linestyle=":", label="acting on none")
        for each in found:
            axes.axvline(each.point.threshold, color=GREEN, linewidth=0.7, linestyle="-.")
            axes.annotate(
                each.point.name,
                (each.point.threshold, 0.02),
                xycoords=("data", "axes fraction"),
                rotation=90,
                fontsize=6,
                ha="right",
            )
        # Acting on all costs without end as the probability nears 1; only what may be worth something is shown.
        most = float(np.max(curve.high))
        axes.set(xlim=(0, 1), ylim=(-0.15 * most, 1.1 * most), xlabel="threshold probability", ylabel="net benefit")
        axes.legend(loc="upper right")
