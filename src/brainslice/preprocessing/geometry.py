"""Head detection, and resampling of the head's bounding box to a square."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from PIL import Image

from brainslice.array_types import Float32, Float64, Int64
from brainslice.arrays import Decisions, Mask, Pixels
from brainslice.errors import UsageError
from brainslice.preprocessing.intensity import percentiles

Part: TypeAlias = Float32[np.ndarray, "rows columns"]
"""The pixels within a box."""

Square: TypeAlias = Float32[np.ndarray, "size size"]
"""An image resampled by a frame."""

Cells: TypeAlias = Float64[np.ndarray, "down across"]
"""An image reduced to a coarse grid."""

# Cells a side of the grid on which the head is detected: fine enough for its outline, too coarse for noise.
_CELLS: Final = 80
# Minimum area of a bright component, as a share of the largest one's: letters have less.
_MIN_AREA: Final = 0.1
# Minimum share of bright pixels in a row or column of the head.
_MIN_LINE: Final = 0.03
# Grey levels of the histogram for the threshold: a power of 2, so that the edges are exact.
_BINS: Final = 64
# Grey values above this percentile are clipped, so that a bright tumour does not raise the threshold.
_BRIGHT_PERCENTILE: Final = 90.0
# Minimum share of bright pixels in a row or column of a drawn frame.
_FRAME_SHARE: Final = 0.8
# Maximum gap in front of a line of a frame, as a share of the side.
_FRAME_DEPTH: Final = 0.03


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of whole pixels: rows ``top`` up to ``bottom``, columns ``left`` up to ``right``."""

    top: int
    left: int
    bottom: int
    right: int

    def __post_init__(self) -> None:
        if not (0 <= self.top < self.bottom and 0 <= self.left < self.right):
            msg = f"a box must hold at least one pixel, got {self}"
            raise UsageError(msg)

    @property
    def height(self) -> int:
        """The number of rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.right - self.left

    def crop(self, picture: Pixels) -> Part:
        """Crop an image to the box, as a view.

        Raises:
            UsageError: The box is not within the image.
        """
        rows, columns = picture.shape
        if self.bottom > rows or self.right > columns:
            msg = f"the picture must hold the box {self}, got {rows} x {columns} pixels"
            raise UsageError(msg)
        return picture[self.top : self.bottom, self.left : self.right]

    def expanded(self, by: int, within: Box) -> Box:
        """Grow by a number of pixels on every side, clipped to another box."""
        return Box(
            max(self.top - by, within.top),
            max(self.left - by, within.left),
            min(self.bottom + by, within.bottom),
            min(self.right + by, within.right),
        )


@dataclass(frozen=True, slots=True)
class Frame:
    """The geometry of a network input: crop to a box, resize, pad with black to a square.

    Attributes:
        box: The box in the image.
        side: The side of the square around the box's centre, in pixels of the image.
        size: The side of the network input, in pixels.
    """

    box: Box
    side: int
    size: int

    def __post_init__(self) -> None:
        if self.side < max(self.box.height, self.box.width) or self.size < 1:
            msg = f"the square must hold the box, got {self}"
            raise UsageError(msg)

    def warp(self, picture: Pixels, *, nearest: bool = False) -> Square:
        """Resample an image ``(h, w)``, or a mask of its shape, to the network input ``(size, size)``.

        Args:
            picture: The image this frame was made for.
            nearest: Whether to use nearest-neighbour instead of bilinear interpolation, as for masks.
        """
        return self.place(self.box.crop(picture), nearest=nearest)

    def place(self, part: Part, *, nearest: bool = False) -> Square:
        """Resize (with antialiasing) and pad an image that is already cropped to the box; see ``warp``."""
        # Resized before padding: an image of 1 x 60,000 pixels must not become a square of that side.
        top, left, rows, columns = self._placement()
        method = Image.Resampling.NEAREST if nearest else Image.Resampling.BILINEAR
        resized = Image.fromarray(np.ascontiguousarray(part)).resize((columns, rows), method)
        square = np.zeros((self.size, self.size), dtype=np.float32)
        square[top : top + rows, left : left + columns] = np.asarray(resized, dtype=np.float32)
        return square

    def unwarp(self, square: Square, shape: tuple[int, int]) -> Pixels:
        """Resample a map ``(size, size)`` of the network input back to an image of a shape ``(h, w)``.

        Interpolation is bilinear; values outside the box are 0.
        """
        top, left, rows, columns = self._placement()
        part = Image.fromarray(np.ascontiguousarray(square[top : top + rows, left : left + columns]))
        picture = np.zeros(shape, dtype=np.float32)
        inside = part.resize((self.box.width, self.box.height), Image.Resampling.BILINEAR)
        picture[self.box.top : self.box.bottom, self.box.left : self.box.right] = np.asarray(inside)
        return picture

    def _placement(self) -> tuple[int, int, int, int]:
        rows, columns = (max(1, round(side * self.size / self.side)) for side in (self.box.height, self.box.width))
        return (self.size - rows) // 2, (self.size - columns) // 2, rows, columns


def inside_frame(pixels: Pixels) -> Box:
    """Find the box inside bright lines and bars along the edges ``(h, w)``, as in screenshots.

    Returns:
        The inner box; the whole image if there is no frame, or nothing else.
    """
    rows, columns = pixels.shape
    lowest, highest = float(pixels.min()), float(pixels.max())
    bright = pixels > (lowest + highest) / 2
    down = bright.sum(axis=1, dtype=np.int32) >= _FRAME_SHARE * columns
    across = bright.sum(axis=0, dtype=np.int32) >= _FRAME_SHARE * rows
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
    """Find the bounding box of the head in grey values ``(h, w)`` of any range.

    The image without its frame is reduced to a coarse grid and thresholded. Connected components much smaller than
    the largest, such as letters, rulers and thin lines, are left out.

    Returns:
        The box; all inside the frame if the image is uniform.
    """
    inner = inside_frame(pixels)
    step = max(1, math.ceil(max(inner.height, inner.width) / _CELLS))
    cells = _reduce(inner.crop(pixels), step)
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
    return _refine(rough.expanded(step, inner), pixels, threshold)


def foreground(pixels: Pixels) -> Mask:
    """Find the pixels of the head's tissue in grey values ``(h, w)`` of any range, without those of the background.

    Returns:
        The pixels above Otsu's threshold of the coarse grid; none if the image is uniform.
    """
    step = max(1, math.ceil(max(pixels.shape) / _CELLS))
    return np.asarray(pixels > _threshold(_reduce(pixels, step)))


def _refine(box: Box, pixels: Pixels, threshold: float) -> Box:
    """Shrink a box to the outermost rows and columns with more than a few bright pixels."""
    bright = box.crop(pixels) > threshold
    rows = np.flatnonzero(bright.sum(axis=1, dtype=np.int32) >= _MIN_LINE * box.width)
    columns = np.flatnonzero(bright.sum(axis=0, dtype=np.int32) >= _MIN_LINE * box.height)
    if rows.size == 0 or columns.size == 0:
        return box
    return Box(
        box.top + int(rows[0]),
        box.left + int(columns[0]),
        box.top + int(rows[-1]) + 1,
        box.left + int(columns[-1]) + 1,
    )


def _reduce(pixels: Part, step: int) -> Cells:
    # In double precision: differences of single-precision values may overflow.
    return np.asarray(Image.fromarray(pixels).reduce(step), dtype=np.float64)


def _threshold(cells: Cells) -> float:
    """Compute Otsu's threshold on square roots of the values, which separates dim tissue from the black background.

    Reference:
        Otsu, A threshold selection method from gray-level histograms, IEEE Trans. SMC 9 (1979).
    """
    lowest, highest = percentiles(cells, 0.0, _BRIGHT_PERCENTILE)
    if highest <= lowest:
        return highest
    roots = np.sqrt(np.clip((cells - lowest) / (highest - lowest), 0.0, 1.0))
    counts = np.bincount(np.minimum(roots * _BINS, _BINS - 1).astype(np.intp).ravel(), minlength=_BINS)
    edges = np.arange(_BINS + 1) / _BINS
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = roots.size - below
    sums = np.cumsum(counts * middles)
    means_below = sums[:-1] / np.maximum(below, 1)
    means_above = (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    best = int(np.argmax(below * above * (means_above - means_below) ** 2))
    return lowest + float(edges[best + 1]) ** 2 * (highest - lowest)


def _extent(bright: Mask) -> Box | None:
    """Return the bounding box of the large 4-connected components of a mask."""
    steps = np.diff(np.pad(bright, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]
    if rows.size == 0:
        return None
    component = _label_runs(rows, starts, ends)
    areas = np.bincount(component, weights=ends - starts)
    kept = areas[component] >= _MIN_AREA * areas.max()
    return Box(int(rows[kept].min()), int(starts[kept].min()), int(rows[kept].max()) + 1, int(ends[kept].max()))


def _label_runs(
    rows: Int64[np.ndarray, " n"], starts: Int64[np.ndarray, " n"], ends: Int64[np.ndarray, " n"]
) -> Int64[np.ndarray, " n"]:
    """Return the connected component of each horizontal run, given the runs from top to bottom, left to right."""
    # In reading order, a run touches those of the row above that end after its start and start before its end.
    width = int(ends.max()) + 1
    first = np.searchsorted(rows * width + ends, (rows - 1) * width + starts, side="right")
    touching = np.maximum(np.searchsorted(rows * width + starts, (rows - 1) * width + ends) - first, 0)
    below = np.repeat(np.arange(len(rows)), touching)
    above = first[below] + np.arange(len(below)) - (np.cumsum(touching) - touching)[below]
    component = np.arange(len(rows))
    while True:
        one, other = component[above], component[below]
        if (one == other).all():
            return component
        # Each component is named by its first run. The higher name of two that touch becomes the lower one.
        np.minimum.at(component, np.maximum(one, other), np.minimum(one, other))
        while (component != (renamed := component[component])).any():
            component = renamed
