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
_CAPTION_LINE = 1.25 * _CAPTION_SIZE / 72
_STAMP_LINE = 1.35 * 8 / 72
_GAP = 0.12
"""Heights of a line of the caption, of the stamp, and of the gap beside them, in inches."""

_MARGIN = 0.02
"""Keeps a line at exactly 0 or 1 from being cut off."""


@dataclass(frozen=True, slots=True)
class FigureFile:
    """The file, size and caption of a figure.

    Attributes:
        path: Without an ending; ``.png`` and ``.svg`` are added.
        width: In inches.
        height: In inches, without caption and stamp.
        caption: Below the figure.
        warnings: Stamped above it: "leaky", "phantom".
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
        engine = ConstrainedLayoutEngine(h_pad=0.09)
        drawn = Figure(figsize=(file.width, file.height), layout=engine)
        FigureCanvasAgg(drawn)
        yield drawn
        _add_notes(drawn, engine, file)
        _save(drawn, file.path)


def _add_notes(drawn: Figure, engine: ConstrainedLayoutEngine, file: FigureFile) -> None:
    """Write caption and stamp below and above the figure, which grows by their heights."""
    caption = textwrap.wrap(file.caption, int(file.width * _CHARACTERS_PER_INCH))
    below = len(caption) * _CAPTION_LINE + 1.5 * _GAP
    above = len(file.warnings) * _STAMP_LINE + _GAP if file.warnings else 0.0
    height = file.height + below + above
    plot = (0.0, below / height, 1.0, file.height / height)
    drawn.set_figheight(height)
    engine.set(rect=plot)
    # The layout makes room for legends outside the axes, but places them in the corners of the whole figure.
    drawn.draw_without_rendering()
    drawn.set_layout_engine(None)
    for legend in drawn.legends:
        legend.set_bbox_to_anchor(plot, drawn.transFigure)
    text = "\n".join(caption)
    top = (below - _GAP / 2) / height
    drawn.text(0.02, top, text, va="top", fontsize=_CAPTION_SIZE, color="#333333", linespacing=1.25)
    if file.warnings:
        stamp = "\n".join(map(warning_stamp, file.warnings))
        box = {"boxstyle": "round,pad=0.3", "facecolor": VERMILION, "edgecolor": "none"}
        top = 1 - _GAP / 2 / height
        drawn.text(0.5, top, stamp, ha="center", va="top", fontsize=8, fontweight="bold", color="white", bbox=box)


def square_from_zero_to_one(axes: Axes) -> None:
    """Limit both axes to 0-1, with equal aspect."""
    limits, ticks = (-_MARGIN, 1 + _MARGIN), [0, 0.25, 0.5, 0.75, 1]
    axes.set(xlim=limits, ylim=limits, aspect="equal", xticks=ticks, yticks=ticks)


def _save(drawn: Figure, path: Path) -> None:
    for ending, metadata in ((".png", {"Software": None}), (".svg", {"Date": None, "Creator": None})):
        with atomic_file(path.with_name(path.name + ending)) as temporary:
            drawn.savefig(temporary, format=ending[1:], metadata=metadata)
