"""The surest mistakes as a gallery, all of them as a table, and results by part of the test set as a document."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes

from brainslice.evaluation.error_analysis import ErrorAnalysis, Mistake
from brainslice.files import write_json, write_text
from brainslice.inference.overlay import draw_overlay
from brainslice.inference.prediction import format_percent
from brainslice.metrics.evaluation import Evaluation
from brainslice.metrics.scoring import Score
from brainslice.metrics.subgroups import SubgroupRow
from brainslice.report.captions import class_title, figure_caption, warning_stamp
from brainslice.report.documents import Table
from brainslice.report.figures.style import FigureFile, figure

SHOWN: Final = 12
"""How many mistakes the gallery shows."""

_ACROSS: Final = 2
_PANELS: Final = 3
_SIDE: Final = 1.12


def write_mistakes(analysed: ErrorAnalysis, evaluation: Evaluation, folder: Path) -> None:
    """Write ``errors.json``, ``errors.csv``, ``subgroups.txt``, and the gallery ``errors`` as PNG and SVG.

    Args:
        analysed: What lies behind the mean.
        evaluation: The evaluation it belongs to.
        folder: Where to write; a gallery of an earlier evaluation goes where there is no mistake left.

    Raises:
        ResourceError: The disk is full.
    """
    rows = [mistake.to_json() for mistake in analysed.mistakes]
    write_json(folder / "errors.json", {"warnings": list(evaluation.settings.warnings), "n": len(rows), "errors": rows})
    write_text(folder / "errors.csv", _spelled(rows))
    write_text(folder / "subgroups.txt", subgroup_table(analysed.rows, evaluation).text)
    if analysed.mistakes:
        draw_gallery(analysed.mistakes[:SHOWN], evaluation, folder / "errors")
    else:
        for ending in (".png", ".svg"):
            (folder / f"errors{ending}").unlink(missing_ok=True)


def subgroup_table(rows: Sequence[SubgroupRow], evaluation: Evaluation) -> Table:
    """Lay the parts of a test set below each other."""
    terms = evaluation.settings
    cells = [
        (
            f"{row.attribute}: {class_title(row.value)}",
            *(_cell(score) for score in (row.accuracy, row.sensitivity, row.specificity)),
            str(row.n),
            str(row.groups),
        )
        for row in rows
    ]
    footnotes = (
        *(warning_stamp(mark) for mark in terms.warnings),
        f"Brackets: intervals at {terms.level:.0%}, groups taken as independent. Threshold: {terms.threshold:.4g}.",
        f"Of {len(rows)} rows some stand out by chance: nothing is corrected for their number.",
        "Research use only.",
    )
    title = f"{terms.dataset}, {terms.protocol} protocol, {terms.split} scans: results by part"
    return Table(title, ("part", "accuracy", "sensitivity", "specificity", "n", "groups"), tuple(cells), footnotes)


def draw_gallery(mistakes: Sequence[Mistake], evaluation: Evaluation, path: Path) -> None:
    """Draw mistakes: the scan, the evidence for what was called, and that for the truth.

    Args:
        mistakes: At least one.
        evaluation: The evaluation they belong to.
        path: The file, without an ending.

    Raises:
        ResourceError: The disk is full.
    """
    down = -(-len(mistakes) // _ACROSS)
    shown = (
        f"The {len(mistakes)} surest mistakes: the scan as the network saw it, the evidence for the class called, and "
        "that for the true one, each relative to its own strongest point. Sets hold the classes that remain possible."
    )
    page = FigureFile(
        path,
        _ACROSS * _PANELS * _SIDE,
        down * (_SIDE + 0.42) + 0.6,
        figure_caption(evaluation, shown),
        evaluation.settings.warnings,
    )
    with figure(page) as drawn:
        grid = drawn.subplots(down, _ACROSS * _PANELS, squeeze=False)
        for axes in grid.ravel():
            axes.set_axis_off()
        for place, mistake in enumerate(mistakes):
            row, column = divmod(place, _ACROSS)
            _draw(grid[row][column * _PANELS : (column + 1) * _PANELS].tolist(), mistake)


def _draw(panels: Sequence[Axes], mistake: Mistake) -> None:
    answer = mistake.answer
    heats = [
        draw_overlay(answer.network_input, answer.heat_map(name)) for name in (answer.most_probable_class, mistake.true)
    ]
    panels[0].imshow(answer.network_input, cmap="gray", vmin=0, vmax=255)
    for axes, picture in zip(panels[1:], heats, strict=True):
        axes.imshow(picture)
    name = answer.most_probable_class
    told = (
        mistake.kind.value,
        f"called {class_title(name)}, {format_percent(answer.probabilities[name])}",
        f"true {class_title(mistake.true)}, {format_percent(mistake.true_probability)}",
    )
    for axes, words in zip(panels, told, strict=True):
        axes.set_title(words.replace(" ", "\n", 1), fontsize=6, loc="left")
    if answer.coverage is not None:
        names = ", ".join(class_title(name) for name in answer.prediction_set) or "empty"
        panels[0].text(0.0, -0.04, f"set: {names}", transform=panels[0].transAxes, fontsize=5, va="top")


def _spelled(rows: Sequence[dict[str, object]]) -> str:
    if not rows:
        return "path\n"
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: " ".join(value) if isinstance(value, list) else value for name, value in row.items()})
    return text.getvalue()


def _cell(score: Score) -> str:
    return "–" if score.value is None else score.text
