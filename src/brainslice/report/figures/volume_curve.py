"""The probabilities of a volume's slices as a curve."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

from brainslice.inference import NOT_CALIBRATED, VolumePrediction
from brainslice.labels import class_title
from brainslice.report.figures.style import LINES, SKY, FigureFile, figure


def save_curve(prediction: VolumePrediction, path: Path) -> None:
    """Draw the calibrated probabilities of each slice as PNG and SVG, the decisive slices shaded.

    The name of the file is not drawn: it may name a patient.

    Raises:
        ResourceError: The disk is full.
    """
    decisive = [each.number for each in prediction.decisive_slices]
    caption = (
        f"Calibrated probabilities of {len(prediction.slices)} of {prediction.total} axial slices, inferior to "
        "superior. Shaded: the neighbouring slices whose mean is the answer, "
        f"P(tumour) {prediction.tumour_probability:.3f} ({NOT_CALIBRATED})."
    )
    numbers = [each.number for each in prediction.slices]
    with figure(FigureFile(path, 5.4, 2.9, caption, prediction.slices[0].prediction.warnings)) as drawn:
        axes = drawn.subplots()
        axes.axvspan(decisive[0] - 0.5, decisive[-1] + 0.5, color=SKY, alpha=0.25, linewidth=0)
        for name, values, (color, dash) in zip(prediction.labels.names, prediction.curve.T, cycle(LINES), strict=False):
            axes.plot(numbers, values, color=color, linestyle=dash, label=class_title(name))
        axes.set(xlabel="slice", ylabel="probability", ylim=(-0.02, 1.02))
        drawn.legend(loc="outside upper left", ncols=len(prediction.labels))
