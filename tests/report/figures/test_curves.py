from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from brainslice.metrics.evaluation import Evaluation
from brainslice.report.figures import style
from brainslice.report.figures.curves import draw_curves


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """The figures by name, once they are drawn."""
    found: dict[str, Figure] = {}
    monkeypatch.setattr(style, "_save", lambda drawn, path: found.__setitem__(path.name, drawn))
    return found


def test_every_class_has_its_line_told_apart_by_colour_and_dash(
    evaluation: Evaluation, figures: dict[str, Figure], tmp_path: Path
) -> None:
    draw_curves(evaluation, tmp_path)
    for drawn in figures.values():
        lines = drawn.axes[0].get_lines()[:4]
        assert len({line.get_color() for line in lines}) == 4
        assert len({line.get_linestyle() for line in lines}) == 4


def test_the_legend_tells_the_area_with_its_interval(
    evaluation: Evaluation, figures: dict[str, Figure], tmp_path: Path
) -> None:
    draw_curves(evaluation, tmp_path)
    for name, scores in (
        ("roc_curves", [curve.area for curve in evaluation.curves]),
        ("pr_curves", [curve.average_precision for curve in evaluation.curves]),
    ):
        legend = figures[name].axes[0].get_legend()
        assert legend is not None
        told = [text.get_text() for text in legend.get_texts()]
        assert all(score.text in text for score, text in zip(scores, told, strict=True))


def test_the_line_is_the_curve(evaluation: Evaluation, figures: dict[str, Figure], tmp_path: Path) -> None:
    draw_curves(evaluation, tmp_path)
    drawn = figures["roc_curves"].axes[0].get_lines()[0].get_xydata()
    assert (drawn == np.column_stack([evaluation.curves[0].roc.x, evaluation.curves[0].roc.y])).all()


def test_without_any_curve_the_figure_says_why(
    one_class: Evaluation, figures: dict[str, Figure], tmp_path: Path
) -> None:
    draw_curves(one_class, tmp_path)
    for drawn in figures.values():
        assert any("undefined" in text.get_text() for text in drawn.axes[0].texts)
        assert drawn.axes[0].get_legend() is None
