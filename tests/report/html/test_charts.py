from __future__ import annotations

import math
from pathlib import Path

import pytest

from brainslice.report.html import charts
from brainslice.report.html.artefacts import read_run


@pytest.mark.parametrize("ends", [(0.0, 1.0), (0.5, 14.5), (0.0, 0.13), (-0.11, 0.78), (0.0, 2.7)])
def test_ticks_are_few_round_and_within_the_axis(ends: tuple[float, float]) -> None:
    found = charts.ticks(*ends)
    assert 3 <= len(found) <= 8
    assert ends[0] - 1e-9 <= found[0] < found[-1] <= ends[1] + 1e-9
    step = found[1] - found[0]
    digit = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert digit == pytest.approx(round(digit))


def test_values_are_placed_within_the_plot() -> None:
    line = charts.Line("one", [0.0, 1.0], [0.0, 2.0], [-1.0, 0.0], [1.0, 3.0])
    chart = charts.Chart("roc", (line,))
    assert chart.points(line) == f"{charts.LEFT},{charts.BOTTOM} {charts.RIGHT},{charts.TOP}"
    heights = [float(point.split(",")[1]) for point in chart.band(line).split()]
    assert min(heights) >= charts.TOP
    assert max(heights) <= charts.BOTTOM


def test_every_chart_of_a_run_is_drawn(complete: Path) -> None:
    run = read_run(complete)
    assert run.report is not None
    evaluation = run.report["evaluation"]
    assert [chart.name for chart in charts.curve_charts(evaluation)] == ["roc", "precision_recall"]
    recall = charts.curve_charts(evaluation)[1].lines[0]
    points = evaluation["curves"][recall.label]["precision_recall"]["recall"]
    assert len(recall.x) == len(recall.y) == 2 * len(points) - 1
    after = charts.reliability_charts(evaluation)[1].lines[0]
    assert len(after.x) == sum(count > 0 for count in evaluation["reliability"]["after"]["counts"])
    risk = charts.risk_chart(evaluation)
    assert risk is not None
    assert risk.y_range[1] > max(risk.lines[0].y)
    assert len(charts.history_charts(run.history)) == 2
    robustness = charts.robustness_charts(run.robustness[0])
    assert [len(chart.lines) for chart in robustness] == [3] * 10
    assert robustness[0].lines[0].y[0] > robustness[0].lines[0].y[-1]
    decision = charts.decision_chart(run.decision_curve, [{"name": "youden", "threshold": 0.4}])
    assert decision is not None
    assert decision.marks == {"youden": 0.4}


def test_missing_results_give_no_chart(evaluated: Path) -> None:
    run = read_run(evaluated)
    assert charts.decision_chart(run.decision_curve, ()) is None
    assert charts.history_charts(run.history) == []
    assert charts.risk_chart({"abstention": None}) is None
    assert charts.curve_charts({"curves": {}}) == []
