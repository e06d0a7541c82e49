"""Accuracy, calibration and referral against the severity of each kind of change, as one figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from brainslice.evaluation import Condition, Robustness
from brainslice.report.documents import warning_text
from brainslice.report.figures.style import BLUE, GREEN, VERMILION, FigureFile, figure

_COLUMNS = 5
_SHOWN = (
    ("accuracy", "accuracy", BLUE, "-"),
    ("ece", "ECE", VERMILION, "--"),
    ("referred", "referred for review", GREEN, "-."),
)


def draw_robustness(result: Robustness, path: Path) -> None:
    """Draw a panel for each kind of change as PNG and SVG, with intervals as bands.

    Raises:
        ResourceError: The disk is full.
    """
    scans = result.scans
    caption = (
        f"Scores by severity of each kind of change, 0 is no change. Data: {scans.description}. "
        f"Bands: intervals at {result.level:.0%}, by group.{warning_text(result.warnings)}"
    )
    kinds = list(dict.fromkeys(each.corruption for each in result.conditions))
    rows = -(-len(kinds) // _COLUMNS)
    with figure(FigureFile(path, 7.4, 1.85 * rows + 0.6, caption, result.warnings)) as drawn:
        grid = drawn.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
        for axes, kind in zip(grid.ravel(), kinds, strict=False):
            _draw_panel(axes, [result.plain, *(each for each in result.conditions if each.corruption is kind)])
            axes.set_title("" if kind is None else kind.name)
        for axes in grid[-1]:
            axes.set_xlabel("severity")
        drawn.legend(*grid[0][0].get_legend_handles_labels(), loc="outside upper left", ncols=len(_SHOWN))


def _draw_panel(axes: Axes, conditions: Sequence[Condition]) -> None:
    severities = [each.severity for each in conditions]
    for name, label, color, dash in _SHOWN:
        scores = [each.score(name) for each in conditions]
        axes.plot(severities, np.array([score.value for score in scores], float), color=color, ls=dash, label=label)
        known = [(x, each.interval) for x, each in zip(severities, scores, strict=True) if each.interval is not None]
        low, high = ([getattr(interval, end) for _, interval in known] for end in ("low", "high"))
        axes.fill_between([x for x, _ in known], low, high, color=color, alpha=0.15, linewidth=0)
    axes.set(xlim=(-0.1, severities[-1] + 0.1), ylim=(-0.02, 1.02), xticks=severities, yticks=[0, 0.25, 0.5, 0.75, 1])
