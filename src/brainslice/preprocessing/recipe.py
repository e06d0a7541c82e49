"""How a slice becomes what the network sees: one object, the same in training and at inference."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Final

import numpy as np

from brainslice.arrays import NetworkInput
from brainslice.errors import ConfigError
from brainslice.preprocessing.geometry import Box, Frame, find_head, inside_frame
from brainslice.preprocessing.intensity import stretch
from brainslice.scan.types import Slice

VERSION: Final = 1
"""Raised whenever the same settings would give other pixels, so that caches and bundles notice."""

_SMALLEST: Final = 16
_LARGEST: Final = 2048
_WIDEST_MARGIN: Final = 0.5
_BRIGHTEST: Final = 255.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """The ordered steps: find the head, crop, stretch the grey values, resize, pad to a square, round.

    Attributes:
        size: The side of the network's input, in pixels.
        crop: Whether to cut the picture down to the head; otherwise it is kept whole.
        margin: What is left around the head, as a share of its longer side.
        low: The percentile of grey values inside the crop that becomes black.
        high: The percentile that becomes white.
    """

    size: int = 224
    crop: bool = True
    margin: float = 0.02
    low: float = 0.5
    high: float = 99.5

    def __post_init__(self) -> None:
        """Refuse settings that cannot be meant."""
        if not _SMALLEST <= self.size <= _LARGEST:
            msg = f"image size must be {_SMALLEST} to {_LARGEST} pixels, got {self.size}"
            raise ConfigError(msg)
        if not (math.isfinite(self.margin) and 0.0 <= self.margin <= _WIDEST_MARGIN):
            msg = f"margin must be a share of 0 to {_WIDEST_MARGIN}, got {self.margin}"
            raise ConfigError(msg)
        if not 0.0 <= self.low < self.high <= 100.0:  # noqa: PLR2004 - percent
            msg = f"percentiles must be 0 <= low < high <= 100, got {self.low} and {self.high}"
            raise ConfigError(msg)

    def __call__(self, scan: Slice) -> NetworkInput:
        """Prepare one slice.

        Returns:
            Grey values of 0 to 255 ``(size, size)``.
        """
        frame = self.frame(scan)
        stretched = stretch(frame.box.cut(scan.pixels), self.low, self.high)
        return np.rint(frame.place(stretched) * np.float32(_BRIGHTEST)).astype(np.uint8)

    def frame(self, scan: Slice) -> Frame:
        """Give the geometry alone, to bring masks of the same picture along."""
        rows, columns = scan.pixels.shape
        box = Box(0, 0, rows, columns)
        if self.crop:
            head = find_head(scan.pixels)
            margin = round(self.margin * max(head.height, head.width))
            box = head.grown(margin, within=inside_frame(scan.pixels))
        return Frame(box, max(box.height, box.width), self.size)

    @property
    def digest(self) -> str:
        """The sha256 of everything that decides the outcome, in hexadecimal."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def to_json(self) -> dict[str, bool | int | float]:
        """Say the recipe in plain types, with the version of the steps themselves."""
        return {"version": VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> Recipe:
        """Read what ``to_json`` wrote.

        Raises:
            ConfigError: A key is unknown or missing, a value has the wrong type, or the version is another.
        """
        expected = {"version", *(field.name for field in fields(cls))}
        if set(value) != expected:
            odd = sorted(set(value) ^ expected)
            msg = f"a recipe must have the keys {sorted(expected)}, got a difference in {odd}"
            raise ConfigError(msg)
        if value["version"] != VERSION:
            msg = f"recipe version must be {VERSION}, got {value['version']!r}; use the release that wrote it"
            raise ConfigError(msg)
        return cls(
            size=_whole(value, "size"),
            crop=_switch(value, "crop"),
            margin=_number(value, "margin"),
            low=_number(value, "low"),
            high=_number(value, "high"),
        )


def _whole(value: Mapping[str, object], key: str) -> int:
    found = value[key]
    if isinstance(found, bool) or not isinstance(found, int):
        msg = f"{key} of a recipe must be a whole number, got {found!r}"
        raise ConfigError(msg)
    return found


def _switch(value: Mapping[str, object], key: str) -> bool:
    found = value[key]
    if not isinstance(found, bool):
        msg = f"{key} of a recipe must be true or false, got {found!r}"
        raise ConfigError(msg)
    return found


def _number(value: Mapping[str, object], key: str) -> float:
    found = value[key]
    if isinstance(found, bool) or not isinstance(found, int | float):
        msg = f"{key} of a recipe must be a number, got {found!r}"
        raise ConfigError(msg)
    return float(found)
