"""Operating points as JSON files, and the decision curve as a figure."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import numpy as np

from brainslice.evaluation import OperatingPointResult
from brainslice.files import write_json
from brainslice.metrics import DecisionCurve
from brainslice.report.documents import warning_text
from brainslice.report.figures.style import BLUE, GREEN, GREY, PURPLE, SKY, VERMILION, FigureFile, figure


def write_operating_points(
    results: tuple[OperatingPointResult, ...], curve: DecisionCurve, data: str, warnings: tuple[str, ...], folder: Path
) -> None:
    """Write each operating point as JSON, and the decision curve as JSON, PNG and SVG.

    Args:
        results: The operating points found.
        curve: Net benefit on the scans reported on.
        data: A description of these scans.
        warnings: Warnings of the bundle ("leaky", "phantom"), stamped on the figure.
        folder: Where to write; files of other searches are kept.

    Raises:
        ResourceError: The disk is full.
    """
    for result in results:
        write_json(
            folder / f"{result.point.name}.json", {"warnings": list(warnings), **result.to_json()}, "operating-point"
        )
    write_json(
        folder / "decision_curve.json", {"data": data, "warnings": list(warnings), **curve.to_json()}, "decision-curve"
    )
    caption = (
        "Net benefit of treating scans whose P(tumour) reaches the threshold probability, beside treating all and "
        f"none, at a prevalence of {curve.prevalence:.3g}. Data: {data}, n = {curve.n} of {curve.groups} groups. "
        f"Band: from exact intervals of sensitivity and specificity, {curve.level:.0%}.{warning_text(warnings)}"
    )
    with figure(FigureFile(folder / "decision_curve", 5.4, 3.9, caption, warnings)) as drawn:
        axes = drawn.subplots()
        thresholds = curve.threshold_probabilities
        axes.fill_between(thresholds, curve.low, curve.high, color=BLUE, alpha=0.18, linewidth=0)
        axes.plot(thresholds, curve.model, color=BLUE, label="acting on the model")
        axes.plot(thresholds, curve.treat_all, color=VERMILION, linestyle="--", label="acting on all")
        axes.axhline(0.0, color=GREY, linestyle=":", label="acting on none")
        for point, color in zip((result.point for result in results), cycle((GREEN, PURPLE, SKY)), strict=False):
            name = f"{point.name}: threshold {point.threshold:.3g}"
            axes.axvline(point.threshold, color=color, linewidth=0.9, linestyle="-.", label=name)
        # Net benefit of treating all tends to minus infinity as the probability nears 1: limit the view.
        most = float(np.max(curve.high))
        axes.set(xlim=(0, 1), ylim=(-0.15 * most, 1.1 * most), xlabel="threshold probability", ylabel="net benefit")
        drawn.legend(loc="outside upper left", ncols=2)
