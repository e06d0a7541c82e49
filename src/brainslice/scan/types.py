"""What a scan is once its file has been read."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from brainslice.arrays import Pixels
from brainslice.errors import UnreadableScanError


@dataclass(frozen=True, slots=True)
class Spacing:
    """The distance from one pixel's centre to the next, in millimetres."""

    row: float
    column: float

    def __post_init__(self) -> None:
        """Refuse what no scanner writes."""
        if not all(math.isfinite(step) and step > 0 for step in (self.row, self.column)):
            msg = f"pixel spacing must be two lengths above 0 mm, got {self.row!r} and {self.column!r}"
            raise UnreadableScanError(msg)


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """One grey picture of a head. There is no field for a patient, and there will be none.

    Attributes:
        pixels: Grey values ``(h, w)`` as stored; finite.
        digest: sha256 of the bytes they were read from, in hexadecimal.
        spacing: The size of a pixel, where the file tells.
    """

    pixels: Pixels
    digest: str
    spacing: Spacing | None = None

    def __post_init__(self) -> None:
        """Refuse pictures that hold nothing to look at."""
        if min(self.pixels.shape) < 1:
            msg = f"a slice must have at least one row and one column, got {self.pixels.shape}"
            raise UnreadableScanError(msg)
        if not np.isfinite(self.pixels).all():
            msg = "a slice must hold finite grey values only; this one holds NaN or infinity"
            raise UnreadableScanError(msg)
