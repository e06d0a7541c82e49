"""What all figures share: letters, colours, caption, warning stamp, and how they are saved.

Figures are drawn through objects, never through pyplot, so that nothing stays open and no window is asked for.
Two runs give the same bytes: no dates, no random identifiers, no settings of the person who runs them.
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
from brainslice.report.captions import warning_stamp

BLUE, VERMILION, GREEN, PURPLE, SKY = "#0072B2", "#D55E00", "#009E73", "#AA4499", "#56B4E9"
"""Colours that eyes without red or green cones tell apart (after Okabe and Ito, Color Universal Design, 2008)."""

GREY = "#767676"
"""For lines of reference."""

LINES = ((BLUE, "-"), (VERMILION, "--"), (GREEN, "-."), (PURPLE, ":"))
"""Colour and dash of one class's line after another; the dash tells them apart in grey print."""

_LETTERS_PER_INCH = 19.5
_CAPTION_SIZE = 6.5
_AIR = 0.02
"""So that a line at exactly 0 or 1 is not half cut off."""


@dataclass(frozen=True, slots=True)
class FigureFile:
    """A figure's place and frame.

    Attributes:
        path: The file to write, without an ending; ``.png`` and ``.svg`` are added.
        width: In inches, as printed.
        height: In inches, as printed.
        caption: What is shown, of whom, and what the intervals are.
        warnings: Warnings that no reader may miss: "leaky", "phantom".
    """

    path: Path
    width: float
    height: float
    caption: str
    warnings: tuple[str, ...] = ()


@contextmanager
def figure(page: FigureFile) -> Iterator[Figure]:
    """Give an empty figure, and save it with caption and stamp once the block ends well.

    Raises:
        ResourceError: The disk is full; an older figure stays.
    """
    with mpl.rc_context():
        _set_style()
        drawn = Figure(figsize=(page.width, page.height), layout=ConstrainedLayoutEngine(h_pad=0.09))
        FigureCanvasAgg(drawn)
        yield drawn
        _stamp(drawn, page.warnings)
        lines = textwrap.wrap(page.caption, int(page.width * _LETTERS_PER_INCH))
        drawn.supxlabel("\n".join(lines), x=0.02, ha="left", fontsize=_CAPTION_SIZE, color="#333333")
        _save(drawn, page.path)


def square_from_zero_to_one(axes: Axes) -> None:
    """Frame axes on which both directions are shares, as wide as high."""
    axes.set_xlim(-_AIR, 1 + _AIR)
    axes.set_ylim(-_AIR, 1 + _AIR)
    axes.set_aspect("equal")
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])


def _set_style() -> None:
    mpl.rcdefaults()
    mpl.rc("font", size=8)
    mpl.rc("axes", titlesize=8.5, titlelocation="left")
    mpl.rc("axes.spines", top=False, right=False)
    mpl.rc("legend", fontsize=7, frameon=False)
    mpl.rc("lines", linewidth=1.4)
    mpl.rc("savefig", dpi=300)
    mpl.rc("svg", hashsalt="brainslice", fonttype="path")


def _stamp(drawn: Figure, marks: tuple[str, ...]) -> None:
    if marks:
        words = "\n".join(warning_stamp(mark) for mark in marks)
        box = {"boxstyle": "round,pad=0.3", "facecolor": VERMILION, "edgecolor": "none"}
        drawn.suptitle(words, fontsize=8, fontweight="bold", color="white", bbox=box)


def _save(drawn: Figure, path: Path) -> None:
    for ending, metadata in ((".png", {"Software": None}), (".svg", {"Date": None, "Creator": None})):
        with atomic_file(path.with_name(path.name + ending)) as temporary:
            drawn.savefig(temporary, format=ending[1:], metadata=metadata)
