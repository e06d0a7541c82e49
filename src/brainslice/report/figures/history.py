"""How training went: accuracy and loss, epoch by epoch, with the stages marked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from brainslice.report.figures.style import BLUE, GREY, VERMILION, FigureFile, figure
from brainslice.training.history import Epoch

STAGES = {"head": "head only", "tail": "last blocks", "all": "all layers"}
"""What the stages train, in words for readers."""


def draw_history(epochs: Sequence[Epoch], reports: Path, marks: tuple[str, ...] = (), of: str = "") -> None:
    """Draw ``acc_curve`` and ``loss_curve``, each as PNG and SVG; without any epoch there is nothing to draw.

    Args:
        epochs: In the order in which they were trained.
        reports: The folder to write to.
        marks: Warnings that no reader may miss.
        of: For the caption: which data, split how, how many scans of how many groups train and validate.

    Raises:
        ResourceError: The disk is full.
    """
    if not epochs:
        return
    chosen = _chosen(epochs)
    words = (
        f"Training history, {len(epochs)} epochs.",
        of,
        "Training values are means over batches as trained on (augmented, mixed, weighted); validation scans are",
        f"shown as they are, and chose epoch {epochs[chosen].number}.",
    )
    caption = " ".join(word for word in words if word)
    for name, title in (("accuracy", "Accuracy"), ("loss", "Loss (nats)")):
        stem = "acc_curve" if name == "accuracy" else "loss_curve"
        with figure(FigureFile(reports / stem, 5.0, 3.2, caption, marks)) as drawn:
            _draw(drawn.subplots(), epochs, name, chosen)
            drawn.axes[0].set_ylabel(title)


def _chosen(epochs: Sequence[Epoch]) -> int:
    """Find the epoch with the least validation score; the first of equals."""
    return min(range(len(epochs)), key=lambda place: epochs[place].validation_score)


def _draw(axes: Axes, epochs: Sequence[Epoch], name: str, chosen: int) -> None:
    numbers = [epoch.number for epoch in epochs]
    training = [getattr(epoch, name) for epoch in epochs]
    validation = [getattr(epoch, f"validation_{name}") for epoch in epochs]
    axes.plot(numbers, training, color=BLUE, marker="o", markersize=2.5, label="training")
    axes.plot(numbers, validation, color=VERMILION, linestyle="--", marker="s", markersize=2.5, label="validation")
    axes.plot(
        numbers[chosen],
        validation[chosen],
        color=VERMILION,
        marker="*",
        markersize=10,
        markeredgecolor="black",
        linestyle="none",
        label=f"chosen (epoch {numbers[chosen]})",
    )
    axes.set_xlabel("epoch")
    axes.set_xlim(numbers[0] - 0.5, numbers[-1] + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _mark_stages(axes, epochs)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def _mark_stages(axes: Axes, epochs: Sequence[Epoch]) -> None:
    starts = [next(run).number for _, run in groupby(epochs, key=lambda epoch: epoch.stage)]
    stages = [stage for stage, _ in groupby(epochs, key=lambda epoch: epoch.stage)]
    ends = [*starts[1:], epochs[-1].number + 1]
    for boundary in starts[1:]:
        axes.axvline(boundary - 0.5, color=GREY, linewidth=0.8)
    for stage, (start, end) in zip(stages, zip(starts, ends, strict=True), strict=True):
        axes.text(
            (start + end) / 2 - 0.5,
            1.02,
            STAGES.get(stage, stage),
            transform=axes.get_xaxis_transform(),
            ha="center",
            fontsize=7,
            color="#333333",
        )
