"""Fingerprints of images for duplicate detection: two hashes and two small grey squares."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from PIL import Image

from brainslice.array_types import Float32, Float64, Shaped, UInt8
from brainslice.arrays import InputBatch, NetworkInput, Pixels
from brainslice.preprocessing import Box, find_head, percentiles
from brainslice.scan import Slice

SIDE: Final = 72
"""Rows and columns of the squares, which suffice to distinguish registered neighbouring slices."""

TURNS: Final = 8
"""Number of flips and rotations of a square: bit 1 mirrors left-right, 2 upside-down, 4 transposes."""

Squares: TypeAlias = Shaped[np.ndarray, "n side side"]
"""Squares of one size."""

HighPassed: TypeAlias = Float32[np.ndarray, "n side side"]
"""High-pass filtered images, each of mean 0 and norm 1; all 0 where an image has no structure."""

MAX_PRODUCT: Final = 1 << 18
"""Multiplications of a product of matrices for which OpenBLAS starts no threads."""

# Images per step, so that intermediate results stay in the processor's cache.
_BLOCK: Final = 32
# Squares of less structure, in grey levels, are empty: noise would match noise.
_MIN_STRUCTURE: Final = 0.5

# A margin is darker than this fraction of the grey range, except for this fraction of its pixels.
_DARK: Final = 0.05
_STRAY_SHARE: Final = 0.01


class Window(NamedTuple):
    """A crop of a square, in fractions of its side."""

    top: float = 0.0
    bottom: float = 1.0
    left: float = 0.0
    right: float = 1.0


WHOLE: Final = Window()


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """The fingerprint of an image.

    Both squares are resized without regard to the aspect ratio, so that squeezed and padded copies are similar again.

    Attributes:
        sha256: Hash of the file's bytes, in hexadecimal.
        pixel_hash: Hash of the decoded pixels, in hexadecimal.
        head: The head, ``(72, 72)``, independent of margins.
        frame: The whole image, ``(72, 72)``, independent of the detection of the head.
    """

    sha256: str
    pixel_hash: str
    head: NetworkInput
    frame: NetworkInput


def compute_fingerprint(scan: Slice) -> Fingerprint:
    """Compute the fingerprint of a slice."""
    rows, columns = scan.pixels.shape
    return Fingerprint(
        sha256=scan.digest,
        pixel_hash=pixel_hash(scan.pixels),
        head=_square(scan.pixels, _head_box(scan.pixels)),
        frame=_square(scan.pixels, Box(0, 0, rows, columns)),
    )


def pixel_hash(pixels: Pixels) -> str:
    """Hash the decoded pixels, independent of the file format.

    Args:
        pixels: Grey values ``(h, w)``.

    Returns:
        The sha256 of the shape and the values, in hexadecimal.
    """
    digest = hashlib.sha256(f"{pixels.shape[0]} x {pixels.shape[1]}".encode())
    digest.update(np.ascontiguousarray(pixels, dtype="<f4").tobytes())
    return digest.hexdigest()


def rotated(squares: Squares, turn: int) -> Squares:
    """Flip and rotate squares ``(n, side, side)``; ``turn`` is a sum of the bits of ``TURNS``.

    Rotation commutes with ``high_pass``.
    """
    if turn & 4:
        squares = squares.transpose(0, 2, 1)
    return squares[:, :: -1 if turn & 2 else 1, :: -1 if turn & 1 else 1]


def high_pass(squares: InputBatch, side: int, window: Window = WHOLE) -> HighPassed:
    """Remove the shading of squares by a high-pass filter.

    All heads are similar in outline and shading; images differ in fine structure. So the mean of each 5 x 5
    neighbourhood is subtracted, and the result smoothed, so that copies shifted by half a pixel stay similar.

    Args:
        squares: Grey values ``(n, s, s)``.
        side: Rows and columns of the result, by area averaging.
        window: The crop of the squares.

    Returns:
        The filtered squares ``(n, side, side)``.
    """
    down = _filters(squares.shape[1], side, window.top, window.bottom)
    across = _filters(squares.shape[2], side, window.left, window.right).transpose(0, 2, 1)
    # Large squares in halves: for larger products BLAS starts threads, which cost more than they save.
    halves = 2 if side % 2 == 0 and side * squares.shape[1] * squares.shape[2] > MAX_PRODUCT else 1
    down = down.reshape(2, halves, -1, squares.shape[1])
    result = np.empty((len(squares), side, side), dtype=np.float32)
    for start in range(0, len(squares), _BLOCK):
        block = slice(start, start + _BLOCK)
        smooth = down @ squares[block, None, None].astype(np.float32) @ across[:, None]
        result[block] = _unit((smooth[:, 0] - smooth[:, 1]).reshape(-1, side, side))
    return result


def _head_box(pixels: Pixels) -> Box:
    """Find the head after removing dark margins, whose size changes the threshold and differs between copies."""
    rows, columns = pixels.shape
    lowest, highest = percentiles(pixels[::3, ::3], 0.0, 99.0)
    bright = pixels > lowest + _DARK * (highest - lowest)
    down = np.flatnonzero(bright.sum(axis=1, dtype=np.int32) > _STRAY_SHARE * columns)
    across = np.flatnonzero(bright.sum(axis=0, dtype=np.int32) > _STRAY_SHARE * rows)
    if min(down.size, across.size) == 0:
        return Box(0, 0, rows, columns)
    top, left = int(down[0]), int(across[0])
    found = find_head(pixels[top : int(down[-1]) + 1, left : int(across[-1]) + 1])
    return Box(top + found.top, left + found.left, top + found.bottom, left + found.right)


def _square(pixels: Pixels, box: Box) -> UInt8[np.ndarray, "side side"]:
    image = Image.fromarray(box.crop(pixels))
    small = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR), dtype=np.float32)
    low, high = float(small.min()), float(small.max())
    return np.asarray(np.rint((small - low) * (255.0 / max(high - low, 1e-6))), dtype=np.uint8)


@functools.lru_cache(maxsize=64)
def _filters(old: int, new: int, start: float, stop: float) -> Float32[np.ndarray, "2 new old"]:
    """Return the matrices that average ``old`` points, between two fractions of their length, into ``new``.

    The first one smooths, too; the second one takes the mean of five neighbours before.
    """
    edges = np.linspace(start * old, stop * old, new + 1)
    points = np.arange(old)
    overlap = np.minimum(edges[1:, None], points + 1) - np.maximum(edges[:-1, None], points)
    overlap = np.clip(overlap, 0.0, None)
    average = overlap / overlap.sum(axis=1, keepdims=True)
    smooth = _neighbours(new, (0.25, 0.5, 0.25))
    mean = _neighbours(new, (0.2, 0.2, 0.2, 0.2, 0.2))
    return np.stack([smooth @ average, smooth @ mean @ average]).astype(np.float32)


def _neighbours(side: int, weights: tuple[float, ...]) -> Float64[np.ndarray, "side side"]:
    """Return the matrix that replaces each point by the weighted mean of its neighbours, with edge padding."""
    matrix = np.zeros((side, side))
    for step, weight in enumerate(weights):
        neighbour = np.clip(np.arange(side) + step - len(weights) // 2, 0, side - 1)
        matrix[np.arange(side), neighbour] += weight
    return matrix


def _unit(squares: HighPassed) -> HighPassed:
    centred = squares - squares.mean(axis=(1, 2), keepdims=True)
    length = np.sqrt((centred * centred).sum(axis=(1, 2), keepdims=True))
    structured = length > _MIN_STRUCTURE * squares.shape[1]
    return np.asarray(np.where(structured, centred / np.maximum(length, 1e-6), 0), dtype=np.float32)
