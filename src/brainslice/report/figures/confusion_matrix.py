"""Which class was called what: the confusion matrix in counts and in shares of each true class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Real
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brainslice.metrics.evaluation import Evaluation
from brainslice.report.captions import class_title, figure_caption
from brainslice.report.figures.style import FigureFile, figure

_DARK = 0.55


def draw_confusion_matrices(evaluation: Evaluation, folder: Path) -> None:
    """Draw ``cm`` (counts) and ``cm_norm`` (shares of each true class), each as PNG and SVG.

    Args:
        evaluation: What is shown.
        folder: Where to write.

    Raises:
        ResourceError: The disk is full.
    """
    counts = evaluation.confusion
    supports = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, supports, out=np.zeros(counts.shape), where=supports > 0)
    size = 1.6 + 0.75 * len(counts)
    marks = evaluation.settings.warnings
    accuracy = f"Accuracy {evaluation.score('accuracy').text}."
    caption = figure_caption(evaluation, f"Scans by true and called class. {accuracy}")
    with figure(FigureFile(folder / "cm", size + 0.3, size, caption, marks)) as drawn:
        _draw(drawn, evaluation, shares, [[f"{count}" for count in row] for row in counts])
    caption = figure_caption(
        evaluation, f"Share of each true class; recall with its interval on the diagonal. {accuracy}"
    )
    with figure(FigureFile(folder / "cm_norm", size + 0.3, size, caption, marks)) as drawn:
        _draw(drawn, evaluation, shares, _share_texts(evaluation, shares))


def _share_texts(evaluation: Evaluation, shares: Real[np.ndarray, "k k"]) -> list[list[str]]:
    texts = [[f"{share:.2f}" for share in row] for row in shares]
    for place, row in enumerate(evaluation.classes):
        interval = row.recall.interval
        if row.recall.value is None:
            texts[place] = ["–"] * len(shares)
        elif interval is not None:
            texts[place][place] += f"\n{interval.low:.2f}–{interval.high:.2f}"
    return texts


def _draw(drawn: Figure, evaluation: Evaluation, shares: Real[np.ndarray, "k k"], texts: list[list[str]]) -> None:
    axes = drawn.subplots()
    shade = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, line in enumerate(texts):
        for column, text in enumerate(line):
            colour = "white" if shares[row, column] > _DARK else "black"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    _name_classes(axes, evaluation)
    bar = drawn.colorbar(shade, ax=axes, shrink=0.8)
    bar.set_label("share of the true class")
    bar.outline.set_visible(False)


def _name_classes(axes: Axes, evaluation: Evaluation) -> None:
    names = [class_title(name) for name in evaluation.settings.label_set.names]
    places = range(len(names))
    totals = evaluation.confusion.sum(axis=1)
    axes.set_xticks(places, names, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, [f"{name}\n(n = {total})" for name, total in zip(names, totals, strict=True)])
    axes.set_xlabel("called class")
    axes.set_ylabel("true class")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
