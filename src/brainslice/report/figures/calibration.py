"""Whether probabilities mean what they say: reliability diagram and confidence histogram."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from brainslice.metrics.curves.reliability_diagram import Reliability
from brainslice.metrics.evaluation import Evaluation
from brainslice.metrics.scoring import Score
from brainslice.report.captions import figure_caption
from brainslice.report.figures.style import BLUE, GREY, SKY, VERMILION, FigureFile, figure, square_from_zero_to_one


def draw_calibration(evaluation: Evaluation, folder: Path) -> None:
    """Draw ``reliability_diagram`` (before and after the temperature) and ``confidence_hist``, as PNG and SVG.

    Args:
        evaluation: What is shown.
        folder: Where to write.

    Raises:
        ResourceError: The disk is full.
    """
    terms = evaluation.settings
    shown = (
        f"Accuracy (dots, with intervals) against confidence of the called class in {terms.bins} bins of equal width; "
        "bars are the gaps to the line on which confidence is honest; below, how many scans each bin holds."
    )
    page = FigureFile(folder / "reliability_diagram", 6.8, 5.2, figure_caption(evaluation, shown), terms.warnings)
    with figure(page) as drawn:
        grid = drawn.subplots(2, 2, height_ratios=(4, 1), sharex="col")
        sides = (
            ("before (temperature 1)", evaluation.reliability_before, evaluation.scores_before),
            (f"after (temperature {terms.temperature:.3f})", evaluation.reliability, evaluation.scores),
        )
        for column, (title, reliability, scores) in enumerate(sides):
            _draw_reliability(grid[0][column], reliability)
            grid[0][column].set_title(_told(title, scores), fontsize=7, linespacing=1.5)
            _draw_counts(grid[1][column], reliability)
    shown = (
        f"Confidence of the called class after the temperature, in {terms.bins} bins of equal width: mean "
        f"{evaluation.reliability.bins.confidence.sum() / evaluation.n:.3f}, where the accuracy is "
        f"{evaluation.score('accuracy').text}."
    )
    page = FigureFile(folder / "confidence_hist", 6.8, 2.9, figure_caption(evaluation, shown), terms.warnings)
    with figure(page) as drawn:
        _draw_confidence(drawn.subplots(1, 2, sharex=True), evaluation)


def _told(title: str, scores: tuple[Score, ...]) -> str:
    found = {score.name: score.text for score in scores}
    return f"{title}\nECE {found['ece']}   Brier {found['brier']}\nMCE {found['mce']}   NLL {found['nll']}"


def _draw_reliability(axes: Axes, reliability: Reliability) -> None:
    bins = reliability.bins
    held = np.flatnonzero(bins.counts)
    sure, right = bins.confidence[held] / bins.counts[held], bins.correct[held] / bins.counts[held]
    bounds = [interval for interval in reliability.accuracy if interval is not None]
    reach = [right - [bound.low for bound in bounds], [bound.high for bound in bounds] - right]
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    axes.vlines(sure, sure, right, color=VERMILION, linewidth=4, alpha=0.35)
    axes.errorbar(sure, right, yerr=np.clip(reach, 0, None), fmt="o", color=BLUE, markersize=3.5, elinewidth=0.9)
    square_from_zero_to_one(axes)
    axes.set_aspect("auto")
    axes.set_ylabel("accuracy")


def _draw_counts(axes: Axes, reliability: Reliability) -> None:
    counts = reliability.bins.counts
    axes.bar(_left_edges(len(counts)), counts, width=1 / len(counts), align="edge", color=SKY, edgecolor="white")
    axes.set_xlabel("confidence")
    axes.set_ylabel("scans")


def _draw_confidence(panels: np.ndarray, evaluation: Evaluation) -> None:
    bins = evaluation.reliability.bins
    edges, width = _left_edges(len(bins.counts)), 1 / len(bins.counts)
    sides = (
        ("called rightly", bins.correct, BLUE, ""),
        ("called wrongly", bins.counts - bins.correct, VERMILION, "///"),
    )
    for axes, (title, counts, colour, hatch) in zip(panels, sides, strict=True):
        axes.bar(edges, counts, width=width, align="edge", color=colour, edgecolor="white", hatch=hatch)
        axes.set_title(f"{title}: {counts.sum()} scans")
        axes.set(xlim=(0, 1), xlabel="confidence", ylabel="scans")


def _left_edges(bins: int) -> np.ndarray:
    return np.arange(bins) / bins
