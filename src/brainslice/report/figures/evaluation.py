"""Figures of an evaluation: confusion matrices, ROC and precision-recall curves, calibration, abstention.

Every function writes PNG and SVG files into a folder and raises ``ResourceError`` if the disk is full.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brainslice.array_types import Real
from brainslice.labels import class_title
from brainslice.metrics import Abstention, Evaluation, PredictionSetQuality, Reliability, Score
from brainslice.report.documents import figure_caption
from brainslice.report.figures.style import (
    BLUE,
    GREY,
    LINES,
    SKY,
    VERMILION,
    FigureFile,
    figure,
    square_from_zero_to_one,
)

_WHITE_TEXT_ABOVE = 0.55
_ENLARGED = 0.2
_REFERRED = 0.1
_MARGIN = 0.02


def draw_confusion_matrices(evaluation: Evaluation, folder: Path) -> None:
    """Draw ``cm`` (counts) and ``cm_norm`` (shares of each true class)."""
    counts = evaluation.confusion
    supports = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, supports, out=np.zeros(counts.shape), where=supports > 0)
    size = 1.0 + 0.75 * len(counts)
    accuracy = f"Accuracy {evaluation.score('accuracy').text}."
    for name, description, texts in (
        ("cm", "Scans by true and predicted class.", counts.astype(str).tolist()),
        (
            "cm_norm",
            "Share of each true class; recall with its interval on the diagonal.",
            _share_texts(evaluation, shares),
        ),
    ):
        with figure(_file(evaluation, folder / name, (size + 0.9, size), f"{description} {accuracy}")) as drawn:
            _draw_matrix(drawn, evaluation, shares, texts)


def _file(evaluation: Evaluation, path: Path, size: tuple[float, float], description: str) -> FigureFile:
    return FigureFile(path, *size, figure_caption(evaluation, description), evaluation.settings.warnings)


def _share_texts(evaluation: Evaluation, shares: Real[np.ndarray, "k k"]) -> list[list[str]]:
    texts = [[f"{share:.2f}" for share in row] for row in shares]
    for index, row in enumerate(evaluation.classes):
        interval = row.recall.interval
        if row.recall.value is None:
            texts[index] = ["–"] * len(shares)
        elif interval is not None:
            texts[index][index] += f"\n{interval.low:.2f}–{interval.high:.2f}"
    return texts


def _draw_matrix(
    drawn: Figure, evaluation: Evaluation, shares: Real[np.ndarray, "k k"], texts: list[list[str]]
) -> None:
    axes = drawn.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        color = "white" if share > _WHITE_TEXT_ABOVE else "black"
        axes.text(column, row, texts[row][column], ha="center", va="center", color=color, fontsize=8)
    names = [class_title(name) for name in evaluation.settings.label_set.names]
    totals = evaluation.confusion.sum(axis=1)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), [f"{name}\n(n = {total})" for name, total in zip(names, totals, strict=True)])
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    bar = drawn.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("share of the true class")
    bar.outline.set_visible(False)


def draw_curves(evaluation: Evaluation, folder: Path) -> None:
    """Draw ``roc_curves`` and ``pr_curves``; a class that no scan has, or all have, has no curve."""
    description = (
        "ROC curves, each class against the rest; areas with intervals after DeLong. Right: the upper left corner."
    )
    with figure(_file(evaluation, folder / "roc_curves", (6.8, 4.0), description)) as drawn:
        whole, corner = drawn.subplots(1, 2)
        _draw_roc(whole, evaluation)
        whole.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, zorder=0)
        square_from_zero_to_one(whole)
        _draw_roc(corner, evaluation)
        corner.set(xlim=(-0.004, _ENLARGED), ylim=(1 - _ENLARGED, 1.004), aspect="equal")
        corner.set_title("enlarged")
        _add_legend(drawn, whole, "area [interval]", 2)
    description = (
        "Precision-recall curves, each class against the rest; a random classifier reaches the class's prevalence."
    )
    with figure(_file(evaluation, folder / "pr_curves", (4.6, 5.0), description)) as drawn:
        axes = drawn.subplots()
        for curve, (color, dash) in zip(evaluation.curves, cycle(LINES), strict=False):
            label = f"{class_title(curve.name)}: {curve.average_precision.text}, {curve.prevalence:.2f}"
            points = curve.precision_recall
            # The precision of a point holds for the recall up to it, as in the average precision.
            axes.step(points.x, points.y, where="pre", color=color, linestyle=dash, label=label)
        axes.set(xlabel="recall", ylabel="precision")
        _label_if_empty(axes, evaluation)
        square_from_zero_to_one(axes)
        _add_legend(drawn, axes, "average precision [interval], prevalence", 1)


def _draw_roc(axes: Axes, evaluation: Evaluation) -> None:
    for curve, (color, dash) in zip(evaluation.curves, cycle(LINES), strict=False):
        label = f"{class_title(curve.name)}: {curve.area.text}"
        axes.plot(curve.roc.x, curve.roc.y, color=color, linestyle=dash, label=label)
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    _label_if_empty(axes, evaluation)


def _add_legend(drawn: Figure, axes: Axes, title: str, columns: int) -> None:
    """Add the legend above the plots, clear of any curve."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        legend = drawn.legend(
            handles, labels, title=title, loc="outside upper left", alignment="left", handlelength=2.4, ncols=columns
        )
        legend.get_title().set_fontsize(7)


def _label_if_empty(axes: Axes, evaluation: Evaluation) -> None:
    if not evaluation.curves:
        axes.text(0.5, 0.5, "undefined: all scans are of one class", ha="center", transform=axes.transAxes)


def draw_calibration(evaluation: Evaluation, folder: Path) -> None:
    """Draw ``reliability_diagram`` (before and after the temperature) and ``confidence_hist``."""
    settings, reliability = evaluation.settings, evaluation.reliability
    description = (
        f"Accuracy (dots, with intervals) against confidence of the predicted class in {settings.bins} bins of equal "
        "width; bars are the gaps to perfect calibration (diagonal); below, the number of scans in each bin."
    )
    with figure(_file(evaluation, folder / "reliability_diagram", (6.8, 4.7), description)) as drawn:
        grid = drawn.subplots(2, 2, height_ratios=(4, 1), sharex="col")
        sides = (
            ("before (temperature 1)", evaluation.reliability_before, evaluation.scores_before),
            (f"after (temperature {settings.temperature:.3f})", reliability, evaluation.scores),
        )
        for column, (title, side, scores) in enumerate(sides):
            _draw_reliability(grid[0][column], side)
            grid[0][column].set_title(_calibration_title(title, scores), fontsize=7, linespacing=1.5)
            _draw_histogram(grid[1][column], side.bins.counts, SKY)
    description = (
        f"Confidence of the predicted class after the temperature, in {settings.bins} bins of equal width: mean "
        f"{reliability.bins.confidence.sum() / evaluation.n:.3f}, where the accuracy is "
        f"{evaluation.score('accuracy').text}."
    )
    with figure(_file(evaluation, folder / "confidence_hist", (6.8, 2.3), description)) as drawn:
        right, wrong = drawn.subplots(1, 2, sharex=True)
        correct = reliability.bins.correct
        errors = reliability.bins.counts - correct
        for axes, title, counts, color, hatch in (
            (right, "correct", correct, BLUE, ""),
            (wrong, "wrong", errors, VERMILION, "///"),
        ):
            _draw_histogram(axes, counts, color, hatch)
            axes.set_title(f"{title}: {counts.sum()} scans")
            axes.set_xlim(0, 1)


def _calibration_title(title: str, scores: Sequence[Score]) -> str:
    texts = {score.name: score.text for score in scores}
    return f"{title}\nECE {texts['ece']}   Brier {texts['brier']}\nMCE {texts['mce']}   NLL {texts['nll']}"


def _draw_reliability(axes: Axes, reliability: Reliability) -> None:
    bins = reliability.bins
    filled = np.flatnonzero(bins.counts)
    confidence, accuracy = bins.confidence[filled] / bins.counts[filled], bins.correct[filled] / bins.counts[filled]
    bounds = [interval for interval in reliability.accuracy if interval is not None]
    errors = [accuracy - [bound.low for bound in bounds], [bound.high for bound in bounds] - accuracy]
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    axes.vlines(confidence, confidence, accuracy, color=VERMILION, linewidth=4, alpha=0.35)
    axes.errorbar(
        confidence, accuracy, yerr=np.clip(errors, 0, None), fmt="o", color=BLUE, markersize=3.5, elinewidth=0.9
    )
    square_from_zero_to_one(axes)
    axes.set_aspect("auto")
    axes.set_ylabel("accuracy")


def _draw_histogram(axes: Axes, counts: Real[np.ndarray, " bins"], color: str, hatch: str = "") -> None:
    left, width = np.arange(len(counts)) / len(counts), 1 / len(counts)
    axes.bar(left, counts, width=width, align="edge", color=color, edgecolor="white", hatch=hatch)
    axes.set(xlabel="confidence", ylabel="scans")


def draw_abstention(evaluation: Evaluation, folder: Path) -> None:
    """Draw ``risk_coverage`` and the coverage of prediction sets; nothing for an evaluation without abstention."""
    result = evaluation.abstention
    if result is None:
        return
    description = (
        "Left: error rate among the scans with the highest confidence, as ever more of them are answered; "
        f"area {result.curve.area:.4f}, of which {result.curve.excess:.4f} above a perfect ordering. "
        f"Referred for review by the verdict: {result.referred.text}."
    )
    if result.sets is not None:
        description += (
            f" Right: coverage of the true class by prediction sets, nominal {result.sets.promised:.0%}; "
            f"grey bands hold 99 of 100 such shares of independent scans. Mean set size {result.sets.size.text}."
        )
    with figure(_file(evaluation, folder / "risk_coverage", (6.8, 2.6), description)) as drawn:
        panels = drawn.subplots(1, 2 if result.sets is not None else 1, squeeze=False)[0]
        _draw_risk_coverage(panels[0], result)
        if result.sets is not None:
            _draw_sets(panels[1], result.sets)


def _draw_risk_coverage(axes: Axes, result: Abstention) -> None:
    axes.plot(result.curve.coverage, result.curve.risk, color=BLUE)
    axes.axvline(1 - _REFERRED, color=GREY, linewidth=0.8, linestyle=":")
    most = max(float(result.curve.risk.max()), 0.01)
    limits = (-_MARGIN * most, 1.1 * most)
    axes.set(xlim=(0, 1.02), ylim=limits, xlabel="share of scans answered", ylabel="share of them wrong")
    axes.set_title(f"{_REFERRED:.0%} referred: accuracy {result.curve.reviewed[_REFERRED].text}", fontsize=7)


def _draw_sets(axes: Axes, sets: PredictionSetQuality) -> None:
    axes.axhline(sets.promised, color=VERMILION, linewidth=0.9)
    for index, row in enumerate(sets.classes):
        axes.fill_between([index - 0.3, index + 0.3], row.low, row.high, color=GREY, alpha=0.3, linewidth=0)
        if row.score.value is not None and row.score.interval is not None:
            axes.vlines(index, row.score.interval.low, row.score.interval.high, color=BLUE, linewidth=1.0)
            axes.plot(index, row.score.value, "o", color=BLUE, markersize=4, clip_on=False)
    axes.set_xticks(range(len(sets.classes)), [class_title(row.name) for row in sets.classes], fontsize=7)
    axes.set(ylim=(None, 1 + _MARGIN), ylabel="sets that contain the class")
    axes.set_title("prediction sets by class", fontsize=7)
