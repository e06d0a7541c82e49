"""Where the head lies in a picture, and how that part becomes a square."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from jaxtyping import Float32, Float64
from PIL import Image

from brainslice.arrays import Decisions, Mask, Pixels
from brainslice.errors import UsageError

Part: TypeAlias = Float32[np.ndarray, "rows columns"]
"""What a box cuts out of a picture."""

Square: TypeAlias = Float32[np.ndarray, "size size"]
"""What a frame makes of it."""

Cells: TypeAlias = Float64[np.ndarray, "down across"]
"""A picture reduced to a coarse grid."""

# The head is looked for on a grid of about this many cells a side: fine enough for its outline, and too
# coarse for noise.
_CELLS: Final = 80
# A bright piece counts as head when it has this share of the largest piece's area: letters have less.
_LEAST_SHARE: Final = 0.1
# A line of pixels is part of the head when this share of it is bright.
_LEAST_LINE: Final = 0.03
# Grey values above this percentile count as equally bright: a shining tumour must not make the rest look dark.
_BRIGHT_PERCENTILE: Final = 90.0
# A line belongs to a drawn frame when this share of it is brighter than half the brightest value.
_FRAME_SHARE: Final = 0.8
# A frame, or the next part of one, begins at most this share of a side further in.
_FRAME_DEPTH: Final = 0.03


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of whole pixels: rows ``top`` up to ``bottom``, columns ``left`` up to ``right``."""

    top: int
    left: int
    bottom: int
    right: int

    def __post_init__(self) -> None:
        """Refuse rectangles without a pixel."""
        if not (0 <= self.top < self.bottom and 0 <= self.left < self.right):
            msg = f"a box must hold at least one pixel, got {self}"
            raise UsageError(msg)

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    def cut(self, picture: Pixels) -> Part:
        """Take this part of a picture, as a view.

        Raises:
            UsageError: The picture ends inside the box.
        """
        rows, columns = picture.shape
        if self.bottom > rows or self.right > columns:
            msg = f"the picture must hold the box {self}, got {rows} x {columns} pixels"
            raise UsageError(msg)
        return picture[self.top : self.bottom, self.left : self.right]

    def grown(self, by: int, within: Box) -> Box:
        """Move every side outwards, as far as the other box goes."""
        return Box(
            max(self.top - by, within.top),
            max(self.left - by, within.left),
            min(self.bottom + by, within.bottom),
            min(self.right + by, within.right),
        )


@dataclass(frozen=True, slots=True)
class Frame:
    """The way from a picture to the square a network sees: cut a box, resize it, pad it with black.

    Attributes:
        box: The part of the picture that is kept.
        side: The side of the square around the box, in the picture's pixels; the box lies in its middle.
        size: The side of the square afterwards, in pixels.
    """

    box: Box
    side: int
    size: int

    def __post_init__(self) -> None:
        """Refuse squares that do not hold their box."""
        if self.side < max(self.box.height, self.box.width) or self.size < 1:
            msg = f"the square must hold the box, got {self}"
            raise UsageError(msg)

    def warp(self, picture: Pixels, *, nearest: bool = False) -> Square:
        """Bring a whole picture, or a mask of its shape, into the network's square.

        Args:
            picture: Values ``(h, w)`` of the picture this frame was made for.
            nearest: Take the nearest value instead of a weighted mean, as masks need.

        Returns:
            The square ``(size, size)``, black where the picture had nothing.
        """
        return self.place(self.box.cut(picture), nearest=nearest)

    def place(self, part: Part, *, nearest: bool = False) -> Square:
        """Resize and pad what was already cut to the box.

        Shrinking averages over all pixels that fall together, so fine texture makes no false patterns.

        Args:
            part: Values ``(box.height, box.width)``.
            nearest: As in ``warp``.

        Returns:
            The square ``(size, size)``.
        """
        # Resized before it is padded: a strip of 1 x 60,000 pixels must not become a square of that side.
        rows = max(1, round(self.box.height * self.size / self.side))
        columns = max(1, round(self.box.width * self.size / self.side))
        method = Image.Resampling.NEAREST if nearest else Image.Resampling.BILINEAR
        resized = Image.fromarray(np.ascontiguousarray(part)).resize((columns, rows), method)
        square = np.zeros((self.size, self.size), dtype=np.float32)
        top, left = (self.size - rows) // 2, (self.size - columns) // 2
        square[top : top + rows, left : left + columns] = np.asarray(resized, dtype=np.float32)
        return square

    def unwarp(self, square: Square, shape: tuple[int, int]) -> Pixels:
        """Bring a map of the network's square back onto the picture this frame was made for.

        Args:
            square: Values ``(size, size)``, such as a heat map.
            shape: Rows and columns of the picture.

        Returns:
            Values ``(h, w)``, bilinear inside the box, 0 outside, where the network saw nothing.
        """
        rows = max(1, round(self.box.height * self.size / self.side))
        columns = max(1, round(self.box.width * self.size / self.side))
        top, left = (self.size - rows) // 2, (self.size - columns) // 2
        part = Image.fromarray(np.ascontiguousarray(square[top : top + rows, left : left + columns]))
        picture = np.zeros(shape, dtype=np.float32)
        inside = part.resize((self.box.width, self.box.height), Image.Resampling.BILINEAR)
        picture[self.box.top : self.box.bottom, self.box.left : self.box.right] = np.asarray(inside)
        return picture


def inside_frame(pixels: Pixels) -> Box:
    """Find what lies inside bright lines and bars along the edges, as screenshots have them.

    Args:
        pixels: Grey values ``(h, w)``, any range.

    Returns:
        The inner box; the whole picture where there is no frame, or nothing but frame.
    """
    rows, columns = pixels.shape
    lowest, highest = float(pixels.min()), float(pixels.max())
    bright = pixels > (lowest + highest) / 2
    down = np.count_nonzero(bright, axis=1) >= _FRAME_SHARE * columns
    across = np.count_nonzero(bright, axis=0) >= _FRAME_SHARE * rows
    top, bottom = _first_inner(down), rows - _first_inner(down[::-1])
    left, right = _first_inner(across), columns - _first_inner(across[::-1])
    return Box(top, left, bottom, right) if top < bottom and left < right else Box(0, 0, rows, columns)


def _first_inner(framed: Decisions) -> int:
    depth = max(1, round(_FRAME_DEPTH * framed.size))
    first = 0
    while (lines := np.flatnonzero(framed[first : first + depth])).size:
        first += int(lines[-1]) + 1
    return first


def find_head(pixels: Pixels) -> Box:
    """Find the rectangle around the head.

    The picture, without a frame, is reduced to a coarse grid and parted into dark and bright; of the bright
    pieces those count that are not much smaller than the largest, which leaves out letters, rulers and thin
    lines.

    Args:
        pixels: Grey values ``(h, w)``, any range.

    Returns:
        The head's box; all that is inside the frame where nothing stands out.
    """
    inner = inside_frame(pixels)
    step = max(1, math.ceil(max(inner.height, inner.width) / _CELLS))
    cells = _reduce(inner.cut(pixels), step)
    threshold = _threshold(cells)
    found = _extent(cells > threshold)
    if found is None:
        return inner
    rough = Box(
        inner.top + found.top * step,
        inner.left + found.left * step,
        min(inner.top + found.bottom * step, inner.bottom),
        min(inner.left + found.right * step, inner.right),
    )
    return _sharpened(rough.grown(step, inner), pixels, threshold)


def _sharpened(box: Box, pixels: Pixels, threshold: float) -> Box:
    """Draw a box in to the outermost lines that are bright for more than a few pixels."""
    bright = box.cut(pixels) > threshold
    rows = np.flatnonzero(np.count_nonzero(bright, axis=1) >= _LEAST_LINE * box.width)
    columns = np.flatnonzero(np.count_nonzero(bright, axis=0) >= _LEAST_LINE * box.height)
    if rows.size == 0 or columns.size == 0:
        return box
    return Box(
        box.top + int(rows[0]),
        box.left + int(columns[0]),
        box.top + int(rows[-1]) + 1,
        box.left + int(columns[-1]) + 1,
    )


def _reduce(pixels: Part, step: int) -> Cells:
    # In double precision from here on: a file may hold values whose difference no single can.
    return np.asarray(Image.fromarray(pixels).reduce(step), dtype=np.float64)


def _threshold(cells: Cells) -> float:
    """Part dark from bright where the variance between the two is largest, on square roots of the values.

    The root brings the many dim tissues nearer to each other than to the black around the head.

    Reference:
        Otsu, A threshold selection method from gray-level histograms, IEEE Trans. SMC 9 (1979).
    """
    lowest, highest = (float(value) for value in np.percentile(cells, [0.0, _BRIGHT_PERCENTILE]))
    if highest <= lowest:
        return highest
    roots = np.sqrt(np.clip((cells - lowest) / (highest - lowest), 0.0, 1.0))
    counts, edges = np.histogram(roots, bins=64, range=(0.0, 1.0))
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = roots.size - below
    sums = np.cumsum(counts * middles)
    means_below = sums[:-1] / np.maximum(below, 1)
    means_above = (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    best = int(np.argmax(below * above * (means_above - means_below) ** 2))
    return lowest + float(edges[best + 1]) ** 2 * (highest - lowest)


def _extent(bright: Mask) -> Box | None:
    """Box the large connected pieces of a mask; diagonal neighbours are not connected."""
    steps = np.diff(np.pad(bright, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]
    if rows.size == 0:
        return None
    piece = _pieces(rows.tolist(), starts.tolist(), ends.tolist())
    areas = np.bincount(piece, weights=ends - starts)
    kept = areas[piece] >= _LEAST_SHARE * areas.max()
    return Box(int(rows[kept].min()), int(starts[kept].min()), int(rows[kept].max()) + 1, int(ends[kept].max()))


def _pieces(rows: list[int], starts: list[int], ends: list[int]) -> list[int]:
    """Number the connected piece of each horizontal run, given the runs from top to bottom, left to right."""
    parents = list(range(len(rows)))
    above = 0
    for run, row in enumerate(rows):
        while rows[above] < row - 1 or (rows[above] == row - 1 and ends[above] <= starts[run]):
            above += 1
        touching = above
        while rows[touching] == row - 1 and starts[touching] < ends[run]:
            parents[_root(parents, touching)] = _root(parents, run)
            touching += 1
    return [_root(parents, run) for run in range(len(rows))]


def _root(parents: list[int], run: int) -> int:
    while parents[run] != run:
        parents[run] = parents[parents[run]]
        run = parents[run]
    return run
