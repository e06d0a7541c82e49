"""Training curves: accuracy and loss by epoch, with the stages labelled."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from brainslice.report.figures.style import BLUE, GREY, VERMILION, FigureFile, figure
from brainslice.training import Epoch

_STAGES = {"head": "head only", "tail": "last blocks", "all": "all layers"}


def draw_history(epochs: Sequence[Epoch], reports: Path, warnings: tuple[str, ...] = (), data: str = "") -> None:
    """Draw ``acc_curve`` and ``loss_curve``, each as PNG and SVG; nothing without any epoch.

    Args:
        epochs: In order of training.
        reports: The folder to write to.
        warnings: Warnings of the model ("leaky", "phantom"), stamped on the figures.
        data: For the caption: data set, protocol, number of training and validation scans and groups.

    Raises:
        ResourceError: The disk is full.
    """
    if not epochs:
        return
    chosen = min(range(len(epochs)), key=lambda index: epochs[index].validation_score)
    caption = (
        f"Training history, {len(epochs)} epochs. {data}{' ' if data else ''}"
        "Training values are means over batches as trained on (augmented, mixed, weighted); validation scans are "
        f"not augmented, and chose epoch {epochs[chosen].number}."
    )
    for stem, name, title in (("acc_curve", "accuracy", "Accuracy"), ("loss_curve", "loss", "Loss (nats)")):
        with figure(FigureFile(reports / stem, 5.0, 2.6, caption, warnings)) as drawn:
            axes = drawn.subplots()
            _draw(axes, epochs, name, chosen)
            axes.set_ylabel(title)


def _draw(axes: Axes, epochs: Sequence[Epoch], name: str, chosen: int) -> None:
    numbers = [epoch.number for epoch in epochs]
    training = [getattr(epoch, name) for epoch in epochs]
    validation = [getattr(epoch, f"validation_{name}") for epoch in epochs]
    axes.plot(numbers, training, color=BLUE, marker="o", markersize=2.5, label="training")
    axes.plot(numbers, validation, color=VERMILION, linestyle="--", marker="s", markersize=2.5, label="validation")
    axes.plot(
        *(numbers[chosen], validation[chosen], "*"),
        color=VERMILION,
        markersize=10,
        markeredgecolor="black",
        label=f"chosen (epoch {numbers[chosen]})",
    )
    axes.set(xlabel="epoch", xlim=(numbers[0] - 0.5, numbers[-1] + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for stage, group in groupby(epochs, key=lambda epoch: epoch.stage):
        run = [epoch.number for epoch in group]
        if run[0] != numbers[0]:
            axes.axvline(run[0] - 0.5, color=GREY, linewidth=0.8)
        # x in epochs, y as a share of the height
        transform = axes.get_xaxis_transform()
        middle = (run[0] + run[-1]) / 2
        title = _STAGES.get(stage, stage)
        axes.text(middle, 1.02, title, transform=transform, ha="center", fontsize=7, color="#333333")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
