"""What is left to a person: the risk–coverage curve, and how often prediction sets hold."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes

from brainslice.metrics.abstention import Abstention, PredictionSetQuality
from brainslice.metrics.evaluation import Evaluation
from brainslice.report.captions import class_title, figure_caption
from brainslice.report.figures.style import BLUE, GREY, VERMILION, FigureFile, figure

_TENTH = 0.1


def draw_abstention(evaluation: Evaluation, folder: Path) -> None:
    """Draw ``risk_coverage`` as PNG and SVG; nothing where an evaluation knows nothing of abstaining.

    Args:
        evaluation: What is shown.
        folder: Where to write.

    Raises:
        ResourceError: The disk is full.
    """
    found = evaluation.abstention
    if found is None:
        return
    shown = (
        "Left: the share of wrong classes among the scans a model is surest of, as ever more of them are answered; "
        f"area {found.curve.area:.4f}, of which {found.curve.excess:.4f} an order without fault would save. "
        f"Referred to a person by the verdict: {found.referred.text}."
    )
    if found.sets is not None:
        shown += (
            f" Right: how often prediction sets hold the true class, beside the promised {found.sets.promised:.0%}; "
            f"grey bands hold 99 of 100 such shares of independent scans. Mean set size {found.sets.size.text}."
        )
    page = FigureFile(
        folder / "risk_coverage", 6.8, 3.0, figure_caption(evaluation, shown), evaluation.settings.warnings
    )
    with figure(page) as drawn:
        panels = drawn.subplots(1, 2 if found.sets is not None else 1, squeeze=False)[0]
        _draw_curve(panels[0], found)
        if found.sets is not None:
            _draw_sets(panels[1], found.sets)


def _draw_curve(axes: Axes, found: Abstention) -> None:
    axes.plot(found.curve.coverage, found.curve.risk, color=BLUE)
    axes.axvline(1 - _TENTH, color=GREY, linewidth=0.8, linestyle=":")
    axes.set(xlim=(0, 1.02), ylim=(0, None), xlabel="share of scans answered", ylabel="share of them wrong")
    axes.set_title(f"a tenth to a person: accuracy {found.curve.reviewed[_TENTH].text}", fontsize=7)


def _draw_sets(axes: Axes, sets: PredictionSetQuality) -> None:
    axes.axhline(sets.promised, color=VERMILION, linewidth=0.9)
    for place, row in enumerate(sets.classes):
        axes.fill_between([place - 0.3, place + 0.3], row.low, row.high, color=GREY, alpha=0.3, linewidth=0)
        if row.score.value is None or row.score.interval is None:
            continue
        bounds = row.score.interval
        axes.vlines(place, bounds.low, bounds.high, color=BLUE, linewidth=1.0)
        axes.plot(place, row.score.value, "o", color=BLUE, markersize=4)
    axes.set_xticks(range(len(sets.classes)), [class_title(row.name) for row in sets.classes], fontsize=7)
    axes.set(ylim=(None, 1.01), ylabel="sets that hold the class")
    axes.set_title("prediction sets, each class by itself", fontsize=7)
