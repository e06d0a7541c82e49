"""Charts as points in the pixels of an SVG drawing, from the figures in JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

JsonObject: TypeAlias = Mapping[str, Any]
Values: TypeAlias = Sequence[float]

WIDTH: Final = 440
HEIGHT: Final = 300
LEFT, RIGHT, TOP, BOTTOM = 52, 428, 14, 252
"""Size of a drawing, and the edges of its plot, in pixels."""

_TICKS: Final = 7


@dataclass(frozen=True, slots=True)
class Line:
    """A line, or dots, with an optional band of intervals.

    Attributes:
        label: Its name in the legend; not translated.
        x: Positions.
        y: Values, as many.
        low: Lower ends of the intervals.
        high: Upper ends.
        dots: Draw dots with bars in place of a line with a band.
    """

    label: str
    x: Values
    y: Values
    low: Values = ()
    high: Values = ()
    dots: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of lines on linear axes.

    Attributes:
        name: The key of title, description and axis titles in the words.
        lines: What to draw.
        x_range: The ends of the horizontal axis.
        y_range: The ends of the vertical axis.
        diagonal: Draw the line from corner to corner.
        marks: Vertical lines, by name.
        title: A name in place of the title of the words; translated as a term.
        description: A text in place of the description of the words; translated as a term.
    """

    name: str
    lines: tuple[Line, ...]
    x_range: tuple[float, float] = (0.0, 1.0)
    y_range: tuple[float, float] = (0.0, 1.0)
    diagonal: bool = False
    marks: Mapping[str, float] = field(default_factory=dict)
    title: str = ""
    description: str = ""

    def x(self, value: float) -> float:
        """Return the horizontal position of a value."""
        low, high = self.x_range
        return round(LEFT + (value - low) / (high - low) * (RIGHT - LEFT), 1)

    def y(self, value: float) -> float:
        """Return the vertical position of a value, within the plot."""
        low, high = self.y_range
        share = (min(max(value, low), high) - low) / (high - low)
        return round(BOTTOM - share * (BOTTOM - TOP), 1)

    def points(self, line: Line) -> str:
        """Return the points of a line, as in the SVG attribute ``points``."""
        return " ".join(f"{self.x(x):g},{self.y(y):g}" for x, y in zip(line.x, line.y, strict=True))

    def band(self, line: Line) -> str:
        """Return the outline of a line's intervals."""
        upper = [f"{self.x(x):g},{self.y(high):g}" for x, high in zip(line.x, line.high, strict=True)]
        lower = [f"{self.x(x):g},{self.y(low):g}" for x, low in zip(line.x, line.low, strict=True)]
        return " ".join([*upper, *reversed(lower)])

    @property
    def x_ticks(self) -> list[float]:
        """Round values along the horizontal axis."""
        return ticks(*self.x_range)

    @property
    def y_ticks(self) -> list[float]:
        """Round values along the vertical axis."""
        return ticks(*self.y_range)


def ticks(low: float, high: float) -> list[float]:
    """Return at most eight round values from ``low`` to ``high``."""
    power = 10.0 ** math.floor(math.log10((high - low) / _TICKS))
    step = next(power * each for each in (1, 2, 5, 10) if (high - low) / (power * each) <= _TICKS)
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first
    return [round((first + index) * step, 10) for index in range(count + 1)]


def curve_charts(evaluation: JsonObject) -> list[Chart]:
    """Chart ROC and precision-recall curves, each class against the rest."""
    curves = evaluation["curves"]
    roc = [
        Line(name, curve["roc"]["false_positive_rate"], curve["roc"]["true_positive_rate"])
        for name, curve in curves.items()
    ]
    recall = []
    for name, curve in curves.items():
        x, y = _steps(curve["precision_recall"]["recall"], curve["precision_recall"]["precision"])
        recall.append(Line(name, x, y))
    return [Chart("roc", tuple(roc), diagonal=True), Chart("precision_recall", tuple(recall))] if curves else []


def _steps(x: Values, y: Values) -> tuple[list[float], list[float]]:
    """Insert the corners of a staircase: a precision holds for the recall up to its point."""
    corners = [(x[0], y[0])] if len(x) else []
    for before, now, value in zip(x[:-1], x[1:], y[1:], strict=True):
        corners += [(before, value), (now, value)]
    return [corner[0] for corner in corners], [corner[1] for corner in corners]


def reliability_charts(evaluation: JsonObject) -> list[Chart]:
    """Chart accuracy against confidence, before and after the temperature."""
    charts = []
    for side in ("before", "after"):
        bins = evaluation["reliability"][side]
        names = ("confidence", "accuracy", "accuracy_intervals")
        rows = [row for row in zip(*(bins[name] for name in names), strict=True) if row[2] is not None]
        low, high = ([row[2][end] for row in rows] for end in ("low", "high"))
        line = Line("accuracy", [row[0] for row in rows], [row[1] for row in rows], low, high, dots=True)
        charts.append(Chart(f"reliability_{side}", (line,), diagonal=True))
    return charts


def risk_chart(evaluation: JsonObject) -> Chart | None:
    """Chart the share of wrong answers against the share of scans answered."""
    if evaluation["abstention"] is None:
        return None
    curve = evaluation["abstention"]["risk_coverage"]["curve"]
    top = max(*curve["risk"], 0.01) * 1.1
    return Chart("risk_coverage", (Line("model", curve["coverage"], curve["risk"]),), y_range=(0.0, top))


def decision_chart(curve: JsonObject | None, points: Sequence[JsonObject]) -> Chart | None:
    """Chart net benefit against threshold probability, with the operating points."""
    if curve is None:
        return None
    x, top = curve["threshold_probability"], max(curve["high"])
    shown = [index for index, value in enumerate(curve["treat_all"]) if value >= -0.15 * top]
    lines = (
        Line("acting on the model", x, curve["net_benefit"], curve["low"], curve["high"]),
        Line("acting on all", [x[index] for index in shown], [curve["treat_all"][index] for index in shown]),
        Line("acting on none", [x[0], x[-1]], [0.0, 0.0]),
    )
    marks = {point["name"]: point["threshold"] for point in points}
    return Chart("decision", lines, y_range=(-0.15 * top, 1.1 * top), marks=marks)


def history_charts(epochs: Sequence[JsonObject]) -> list[Chart]:
    """Chart accuracy and loss of training and validation by epoch."""
    if not epochs:
        return []
    numbers = [float(epoch["number"]) for epoch in epochs]
    ends = (numbers[0] - 0.5, numbers[-1] + 0.5)
    charts = []
    for name in ("accuracy", "loss"):
        values = [[epoch[key] for epoch in epochs] for key in (name, f"validation_{name}")]
        top = 1.0 if name == "accuracy" else 1.05 * max(max(each) for each in values) or 1.0
        lines = (Line("training", numbers, values[0]), Line("validation", numbers, values[1]))
        charts.append(Chart(f"history_{name}", lines, x_range=ends, y_range=(0.0, top)))
    return charts


def robustness_charts(sweep: JsonObject) -> list[Chart]:
    """Chart accuracy, ECE and referral by severity, a chart for each kind of change."""
    charts = []
    for name, kind in sweep["corruptions"].items():
        steps = [sweep["plain"], *kind["severities"]]
        lines = tuple(_score_line(score, steps) for score in ("accuracy", "ece", "referred"))
        ends = (0.0, float(len(steps) - 1))
        charts.append(Chart("robustness", lines, x_range=ends, title=name, description=kind["unit"]))
    return charts


def _score_line(name: str, steps: Sequence[JsonObject]) -> Line:
    scores = [step["scores"][name] for step in steps]
    ends = [score["interval"] or {"low": score["value"], "high": score["value"]} for score in scores]
    low, high = ([each[end] for each in ends] for end in ("low", "high"))
    return Line(name, [float(step["severity"]) for step in steps], [score["value"] for score in scores], low, high)
