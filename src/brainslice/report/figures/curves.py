"""Each class against the rest: ROC and precision-recall curves."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes

from brainslice.metrics.evaluation import Evaluation
from brainslice.report.captions import class_title, figure_caption
from brainslice.report.figures.style import GREY, LINES, FigureFile, figure, square_from_zero_to_one

_CORNER = 0.2


def draw_curves(evaluation: Evaluation, folder: Path) -> None:
    """Draw ``roc_curves`` and ``pr_curves``, each as PNG and SVG.

    Args:
        evaluation: What is shown; classes that no scan has, or all have, have no curve.
        folder: Where to write.

    Raises:
        ResourceError: The disk is full.
    """
    marks = evaluation.settings.warnings
    shown = "ROC curves, each class against the rest; areas with intervals after DeLong. Right: the upper left corner."
    with figure(FigureFile(folder / "roc_curves", 6.8, 3.9, figure_caption(evaluation, shown), marks)) as drawn:
        whole, corner = drawn.subplots(1, 2)
        _draw_roc(whole, evaluation)
        whole.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, zorder=0)
        square_from_zero_to_one(whole)
        _draw_roc(corner, evaluation)
        corner.set(xlim=(-0.004, _CORNER), ylim=(1 - _CORNER, 1.004), aspect="equal")
        corner.set_title("enlarged")
        _legend(whole, "area [interval]", "lower right")
    shown = "Precision-recall curves, each class against the rest; a guess reaches the class's prevalence."
    with figure(FigureFile(folder / "pr_curves", 4.6, 4.6, figure_caption(evaluation, shown), marks)) as drawn:
        axes = drawn.subplots()
        _draw_precision_recall(axes, evaluation)
        square_from_zero_to_one(axes)
        _legend(axes, "average precision [interval], prevalence", "lower left")


def _draw_roc(axes: Axes, evaluation: Evaluation) -> None:
    for curve, (colour, dash) in zip(evaluation.curves, cycle(LINES), strict=False):
        label = f"{class_title(curve.name)}: {curve.area.text}"
        axes.plot(curve.roc.x, curve.roc.y, color=colour, linestyle=dash, label=label)
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    _say_if_empty(axes, evaluation)


def _draw_precision_recall(axes: Axes, evaluation: Evaluation) -> None:
    for curve, (colour, dash) in zip(evaluation.curves, cycle(LINES), strict=False):
        points = curve.precision_recall
        label = f"{class_title(curve.name)}: {curve.average_precision.text}, {curve.prevalence:.2f}"
        # The precision of a point holds for the recall up to it, as in the average precision.
        axes.step(points.x, points.y, where="pre", color=colour, linestyle=dash, label=label)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    _say_if_empty(axes, evaluation)


def _legend(axes: Axes, title: str, place: Literal["lower left", "lower right"]) -> None:
    if axes.get_legend_handles_labels()[0]:
        legend = axes.legend(title=title, loc=place, alignment="left", handlelength=2.4)
        legend.get_title().set_fontsize(7)
        legend.set_frame_on(True)
        legend.get_frame().set(edgecolor="none", alpha=1)


def _say_if_empty(axes: Axes, evaluation: Evaluation) -> None:
    if not evaluation.curves:
        axes.text(0.5, 0.5, "undefined: all scans are of one class", ha="center", transform=axes.transAxes)
