"""The probabilities of a volume's slices as a curve."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

from brainslice.inference.volume import NOT_CALIBRATED, VolumePrediction
from brainslice.report.captions import class_title
from brainslice.report.figures.style import LINES, SKY, FigureFile, figure


def save_curve(answer: VolumePrediction, path: Path) -> None:
    """Draw the calibrated probabilities of each slice, and the slices that carry the answer.

    Args:
        answer: What is shown. The name of its file is not drawn: it may name a patient.
        path: The file to write, without an ending; PNG and SVG are written.

    Raises:
        ResourceError: The disk is full.
    """
    carriers = [each.number for each in answer.decisive_slices]
    caption = (
        f"Calibrated probabilities of {len(answer.slices)} of {answer.total} axial slices, inferior to superior. "
        "Shaded: the neighbouring slices whose mean is the answer, "
        f"P(tumour) {answer.tumour_probability:.3f} ({NOT_CALIBRATED})."
    )
    numbers = [each.number for each in answer.slices]
    with figure(FigureFile(path, 5.4, 3.2, caption, answer.slices[0].prediction.warnings)) as drawn:
        axes = drawn.subplots()
        axes.axvspan(carriers[0] - 0.5, carriers[-1] + 0.5, color=SKY, alpha=0.25, linewidth=0)
        for place, (name, (colour, dash)) in enumerate(zip(answer.labels.names, cycle(LINES), strict=False)):
            axes.plot(numbers, answer.curve[:, place], color=colour, linestyle=dash, label=class_title(name))
        axes.set(xlabel="slice", ylabel="probability", ylim=(-0.02, 1.02))
        drawn.legend(loc="outside upper left", ncols=len(answer.labels))
