"""Style of all figures: fonts, colours, caption, warning stamp, and saving.

Figures are made without pyplot, so that none stays open and no window system is needed. Two runs write the same
bytes: no dates, no random identifiers, no user settings.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from brainslice.files import atomic_file
from brainslice.report.documents import warning_stamp

BLUE, VERMILION, GREEN, PURPLE, SKY = "#0072B2", "#D55E00", "#009E73", "#AA4499", "#56B4E9"
"""Colours told apart with red-green colour blindness (Okabe and Ito, Color Universal Design, 2008)."""

GREY = "#767676"
"""For reference lines."""

LINES = ((BLUE, "-"), (VERMILION, "--"), (GREEN, "-."), (PURPLE, ":"))
"""Colour and dash of the line of each class."""

_CHARACTERS_PER_INCH = 19.5
_CAPTION_SIZE = 6.5
_MARGIN = 0.02
"""Keeps a line at exactly 0 or 1 from being cut off."""


@dataclass(frozen=True, slots=True)
class FigureFile:
    """The file, size and caption of a figure.

    Attributes:
        path: Without an ending; ``.png`` and ``.svg`` are added.
        width: In inches.
        height: In inches.
        caption: Below the figure.
        warnings: Stamped on top: "leaky", "phantom".
    """

    path: Path
    width: float
    height: float
    caption: str
    warnings: tuple[str, ...] = ()


@contextmanager
def figure(file: FigureFile) -> Iterator[Figure]:
    """Yield an empty figure, and save it with caption and stamp if the block does not raise.

    Raises:
        ResourceError: The disk is full; an older figure is kept.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rc("font", size=8)
        mpl.rc("axes", titlesize=8.5, titlelocation="left")
        mpl.rc("axes.spines", top=False, right=False)
        mpl.rc("legend", fontsize=7, frameon=False)
        mpl.rc("lines", linewidth=1.4)
        mpl.rc("savefig", dpi=300)
        mpl.rc("svg", hashsalt="brainslice", fonttype="path")
        drawn = Figure(figsize=(file.width, file.height), layout=ConstrainedLayoutEngine(h_pad=0.09))
        FigureCanvasAgg(drawn)
        yield drawn
        if file.warnings:
            stamp = "\n".join(warning_stamp(warning) for warning in file.warnings)
            box = {"boxstyle": "round,pad=0.3", "facecolor": VERMILION, "edgecolor": "none"}
            drawn.suptitle(stamp, fontsize=8, fontweight="bold", color="white", bbox=box)
        lines = textwrap.wrap(file.caption, int(file.width * _CHARACTERS_PER_INCH))
        drawn.supxlabel("\n".join(lines), x=0.02, ha="left", fontsize=_CAPTION_SIZE, color="#333333")
        _save(drawn, file.path)


def square_from_zero_to_one(axes: Axes) -> None:
    """Limit both axes to 0-1, with equal aspect."""
    limits, ticks = (-_MARGIN, 1 + _MARGIN), [0, 0.25, 0.5, 0.75, 1]
    axes.set(xlim=limits, ylim=limits, aspect="equal", xticks=ticks, yticks=ticks)


def _save(drawn: Figure, path: Path) -> None:
    for ending, metadata in ((".png", {"Software": None}), (".svg", {"Date": None, "Creator": None})):
        with atomic_file(path.with_name(path.name + ending)) as temporary:
            drawn.savefig(temporary, format=ending[1:], metadata=metadata)
