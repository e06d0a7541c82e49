"""Wrong predictions as a table and a gallery, and metrics by subgroup."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from brainslice.evaluation import ErrorAnalysis, Mistake
from brainslice.files import atomic_folder, write_json, write_text
from brainslice.inference import draw_overlay, format_percent
from brainslice.labels import class_title
from brainslice.metrics import Evaluation, Score, SubgroupRow
from brainslice.report.documents import Table, figure_caption, warning_stamp
from brainslice.report.figures.style import FigureFile, figure

SHOWN: Final = 12
"""The maximum number of mistakes in the gallery."""

PICTURES: Final = "errors"
"""The folder of small pictures of the mistakes in the gallery, numbered from 01."""

_PICTURE_PIXELS: Final = 192
_MISTAKES_PER_ROW: Final = 2
_PANELS: Final = 3
_PANEL_INCHES: Final = 1.12
_TEXT_INCHES: Final = 0.4
_GAP_INCHES: Final = 0.2


def write_mistakes(analysis: ErrorAnalysis, evaluation: Evaluation, folder: Path) -> None:
    """Write ``errors.json``, ``errors.csv``, ``subgroups.txt``, small pictures, and the gallery ``errors``.

    Args:
        analysis: The mistakes and the metrics by subgroup.
        evaluation: The evaluation analysed.
        folder: Where to write; without any mistake an older gallery is deleted.

    Raises:
        ResourceError: The disk is full.
    """
    rows = [mistake.to_json() for mistake in analysis.mistakes]
    write_json(
        folder / "errors.json",
        {"warnings": list(evaluation.settings.warnings), "n": len(rows), "errors": rows},
        "errors",
    )
    write_text(folder / "errors.csv", _csv_text(rows))
    write_text(folder / "subgroups.txt", subgroup_table(analysis.rows, evaluation).text)
    if analysis.mistakes:
        _write_pictures(analysis.mistakes[:SHOWN], folder / PICTURES)
        draw_gallery(analysis.mistakes[:SHOWN], evaluation, folder / "errors")
    else:
        shutil.rmtree(folder / PICTURES, ignore_errors=True)
        for ending in (".png", ".svg"):
            (folder / f"errors{ending}").unlink(missing_ok=True)


def subgroup_table(rows: Sequence[SubgroupRow], evaluation: Evaluation) -> Table:
    """Tabulate the metrics of each subgroup of a test set."""
    settings = evaluation.settings
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
        *map(warning_stamp, settings.warnings),
        f"Brackets: intervals at {settings.level:.0%}, groups taken as independent.",
        f"Threshold: {settings.threshold:.4g}.",
        f"Of {len(rows)} rows some stand out by chance: nothing is corrected for their number.",
        "Research use only.",
    )
    title = f"{settings.dataset}, {settings.protocol} protocol, {settings.split} scans: results by subgroup"
    return Table(title, ("subgroup", "accuracy", "sensitivity", "specificity", "n", "groups"), tuple(cells), footnotes)


def draw_gallery(mistakes: Sequence[Mistake], evaluation: Evaluation, path: Path) -> None:
    """Draw each scan beside the heat maps of the predicted and the true class.

    Raises:
        ResourceError: The disk is full.
    """
    columns = min(len(mistakes), _MISTAKES_PER_ROW)
    rows = -(-len(mistakes) // columns)
    description = (
        f"Mistakes of highest confidence (n = {len(mistakes)}): network input, heat map of the predicted class and of "
        "the true class, each relative to its own maximum. Sets hold the classes that remain possible."
    )
    file = FigureFile(
        path,
        columns * (_PANELS * _PANEL_INCHES + _GAP_INCHES),
        rows * (_PANEL_INCHES + _TEXT_INCHES),
        figure_caption(evaluation, description),
        evaluation.settings.warnings,
    )
    with figure(file) as drawn:
        # An empty column parts the mistakes of a row.
        widths = [*[1.0] * _PANELS, _GAP_INCHES / _PANEL_INCHES] * columns
        grid = drawn.subplots(rows, len(widths) - 1, squeeze=False, width_ratios=widths[:-1])
        for axes in grid.ravel():
            axes.set_axis_off()
        places = [row[start : start + _PANELS] for row in grid.tolist() for start in range(0, len(widths), _PANELS + 1)]
        for panels, mistake in zip(places, mistakes, strict=False):
            _draw_mistake(panels, mistake)


def _draw_mistake(panels: Sequence[Axes], mistake: Mistake) -> None:
    prediction = mistake.answer
    predicted = prediction.most_probable_class
    panels[0].imshow(prediction.network_input, cmap="gray", vmin=0, vmax=255)
    for axes, name in zip(panels[1:], (predicted, mistake.true), strict=True):
        axes.imshow(draw_overlay(prediction.network_input, prediction.heat_map(name)))
    titles = (
        mistake.kind.value,
        f"predicted {class_title(predicted)}, {format_percent(prediction.probabilities[predicted])}",
        f"true {class_title(mistake.true)}, {format_percent(mistake.true_probability)}",
    )
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title.replace(" ", "\n", 1), fontsize=6, loc="left")
    if prediction.coverage is not None:
        names = ", ".join(class_title(name) for name in prediction.prediction_set) or "empty"
        text = panels[0].text(0.0, -0.03, f"set: {names}", transform=panels[0].transAxes, fontsize=5, va="top")
        # It may run below the panels beside it.
        text.set_in_layout(False)


def _write_pictures(mistakes: Sequence[Mistake], folder: Path) -> None:
    """Write each scan, with the heat maps of the predicted and of the true class beside it, as a small JPEG."""
    with atomic_folder(folder) as staging:
        for number, mistake in enumerate(mistakes, 1):
            scan, predicted = mistake.answer.network_input, mistake.answer.most_probable_class
            maps = [draw_overlay(scan, mistake.answer.heat_map(name)) for name in (predicted, mistake.true)]
            strip = Image.fromarray(np.concatenate([np.repeat(scan[..., None], 3, axis=2), *maps], axis=1))
            small = strip.resize((3 * _PICTURE_PIXELS, _PICTURE_PIXELS), Image.Resampling.LANCZOS)
            small.save(staging / f"{number:02d}.jpg", quality=85)


def _csv_text(rows: Sequence[dict[str, object]]) -> str:
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
