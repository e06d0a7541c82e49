"""The preprocessing recipe, the same object in training and at inference."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

import numpy as np

from brainslice.arrays import NetworkInput
from brainslice.errors import ConfigError
from brainslice.preprocessing.geometry import Box, Frame, find_head, inside_frame
from brainslice.preprocessing.intensity import stretch
from brainslice.scan.types import Slice

VERSION: Final = 1
"""Incremented when the same settings give different pixels, which invalidates caches."""

_MIN_SIZE: Final = 16
_MAX_SIZE: Final = 2048
_MAX_MARGIN: Final = 0.5
_WHITE: Final = 255.0
_FLOATS: Final = ("margin", "low", "high")


@dataclass(frozen=True, slots=True)
class Recipe:
    """The steps: find the head, crop, stretch the grey values, resize, pad to a square, round.

    Attributes:
        size: The side of the network input, in pixels.
        crop: Whether to crop to the head.
        margin: The margin around the head, as a share of its longer side.
        low: The percentile of grey values within the crop that becomes black.
        high: The percentile that becomes white.
    """

    size: int = 224
    crop: bool = True
    margin: float = 0.02
    low: float = 0.5
    high: float = 99.5

    def __post_init__(self) -> None:
        if not _MIN_SIZE <= self.size <= _MAX_SIZE:
            msg = f"image size must be {_MIN_SIZE} to {_MAX_SIZE} pixels, got {self.size}"
            raise ConfigError(msg)
        if not (math.isfinite(self.margin) and 0.0 <= self.margin <= _MAX_MARGIN):
            msg = f"margin must be a share of 0 to {_MAX_MARGIN}, got {self.margin}"
            raise ConfigError(msg)
        if not 0.0 <= self.low < self.high <= 100.0:  # noqa: PLR2004 - percent
            msg = f"percentiles must be 0 <= low < high <= 100, got {self.low} and {self.high}"
            raise ConfigError(msg)

    def __call__(self, scan: Slice) -> NetworkInput:
        """Preprocess a slice to grey values of 0 to 255 ``(size, size)``."""
        frame = self.frame(scan)
        stretched = stretch(frame.box.cut(scan.pixels), self.low, self.high)
        return np.rint(frame.place(stretched) * np.float32(_WHITE)).astype(np.uint8)

    def frame(self, scan: Slice) -> Frame:
        """Return the geometry, to resample masks like the slice."""
        rows, columns = scan.pixels.shape
        box = Box(0, 0, rows, columns)
        if self.crop:
            head = find_head(scan.pixels)
            margin = round(self.margin * max(head.height, head.width))
            box = head.grown(margin, within=inside_frame(scan.pixels))
        return Frame(box, max(box.height, box.width), self.size)

    @property
    def digest(self) -> str:
        """sha256 of the recipe, in hexadecimal."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def to_json(self) -> dict[str, bool | int | float]:
        """Return the recipe as plain types, with the version of the steps."""
        return {"version": VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Recipe:
        """Convert from ``to_json``.

        Raises:
            ConfigError: A key is unknown or missing, a value has the wrong type, or the version differs.
        """
        expected = {"version", *(field.name for field in fields(cls))}
        if set(value) != expected:
            odd = sorted(set(value) ^ expected)
            msg = f"a recipe must have the keys {sorted(expected)}, got a difference in {odd}"
            raise ConfigError(msg)
        if value["version"] != VERSION:
            msg = f"recipe version must be {VERSION}, got {value['version']!r}; use the release that wrote it"
            raise ConfigError(msg)
        types: dict[str, tuple[set[type], str]] = {
            "size": ({int}, "a whole number"),
            "crop": ({bool}, "true or false"),
            **{key: ({int, float}, "a number") for key in _FLOATS},
        }
        for key, (kinds, expected_type) in types.items():
            if type(value[key]) not in kinds:
                msg = f"{key} of a recipe must be {expected_type}, got {value[key]!r}"
                raise ConfigError(msg)
        return cls(value["size"], value["crop"], **{key: float(value[key]) for key in _FLOATS})
