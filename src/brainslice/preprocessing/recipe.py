"""The preprocessing recipe, the same object in training and at inference."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any, Final

import numpy as np

from brainslice.arrays import NetworkInput
from brainslice.errors import ConfigError
from brainslice.lazy import require_extra
from brainslice.preprocessing.geometry import Box, Frame, Part, find_head, inside_frame
from brainslice.preprocessing.histogram import LANDMARKS, standardise
from brainslice.preprocessing.intensity import stretch
from brainslice.scan import Slice

VERSION: Final = 1
"""Incremented when the same settings give different pixels, which invalidates caches."""

_MIN_SIZE: Final = 16
_MAX_SIZE: Final = 2048
_MAX_MARGIN: Final = 0.5
_WHITE: Final = 255.0
_FLOATS: Final = ("margin", "low", "high")
_OPTIONAL: Final = ("bias_field", "contrast", "landmarks")
_CHOICES: Final = {"bias_field": ("none", "n4"), "contrast": ("none", "clahe", "nyul")}
_EXTRAS: Final = {"n4": "SimpleITK", "clahe": "cv2"}
"""The library of each optional step that needs one; the extra has the step's name."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The steps: find the head, crop, stretch the grey values, resize, pad to a square, round.

    Optional steps correct the bias field before the stretch and change the contrast after it. A recipe without them
    has the digest and the JSON it had before they existed.

    Attributes:
        size: The side of the network input, in pixels.
        crop: Whether to crop to the head.
        margin: The margin around the head, as a share of its longer side.
        low: The percentile of grey values within the crop that becomes black.
        high: The percentile that becomes white.
        bias_field: ``none``, or ``n4`` for bias-field correction (extra ``n4``).
        contrast: ``none``, ``clahe`` for adaptive histogram equalisation (extra ``clahe``), or ``nyul`` for histogram
            standardisation.
        landmarks: For ``nyul``, the mean deciles of the training scans, as shares of the stretched range.

    Raises:
        ConfigError: A value is invalid.
        MissingExtraError: The library of an optional step is not installed.
    """

    size: int = 224
    crop: bool = True
    margin: float = 0.02
    low: float = 0.5
    high: float = 99.5
    bias_field: str = "none"
    contrast: str = "none"
    landmarks: tuple[float, ...] = ()

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
        self._check_optional_steps()

    def _check_optional_steps(self) -> None:
        for name, choices in _CHOICES.items():
            chosen = getattr(self, name)
            if chosen not in choices:
                msg = f"{name} of a recipe must be one of {', '.join(choices)}, got {chosen!r}"
                raise ConfigError(msg)
            if chosen in _EXTRAS:
                require_extra(chosen, f"the preprocessing ({name}: {chosen})", _EXTRAS[chosen])
        marks = self.landmarks
        if len(marks) != (LANDMARKS if self.contrast == "nyul" else 0):
            msg = f"landmarks of a recipe must be {LANDMARKS} numbers for nyul and none otherwise, got {len(marks)}"
            raise ConfigError(msg)
        if not all(0.0 <= low <= high <= 1.0 for low, high in pairwise(marks)):
            msg = f"landmarks of a recipe must rise from 0 to 1, got {list(marks)}"
            raise ConfigError(msg)

    def __call__(self, scan: Slice) -> NetworkInput:
        """Preprocess a slice to grey values of 0 to 255 ``(size, size)``."""
        frame = self.frame(scan)
        part = self._contrasted(self.stretched(scan, frame))
        return np.rint(frame.place(part) * np.float32(_WHITE)).astype(np.uint8)

    def stretched(self, scan: Slice, frame: Frame | None = None) -> Part:
        """Crop a slice, correct its bias field if the recipe does, and stretch its grey values to 0 to 1."""
        part = (frame or self.frame(scan)).box.crop(scan.pixels)
        if self.bias_field == "n4":
            from brainslice.preprocessing.bias_field import correct_bias_field  # noqa: PLC0415 - an optional extra

            part = correct_bias_field(part)
        return stretch(part, self.low, self.high)

    def _contrasted(self, part: Part) -> Part:
        if self.contrast == "clahe":
            from brainslice.preprocessing.contrast import equalise  # noqa: PLC0415 - an optional extra

            return equalise(part)
        return standardise(part, self.landmarks) if self.contrast == "nyul" else part

    def frame(self, scan: Slice) -> Frame:
        """Return the geometry, to resample masks like the slice."""
        rows, columns = scan.pixels.shape
        box = Box(0, 0, rows, columns)
        if self.crop:
            head = find_head(scan.pixels)
            margin = round(self.margin * max(head.height, head.width))
            box = head.expanded(margin, within=inside_frame(scan.pixels))
        return Frame(box, max(box.height, box.width), self.size)

    @property
    def digest(self) -> str:
        """sha256 of the recipe, in hexadecimal."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as plain types, with the version of the steps; optional steps that are off are left out."""
        values = {"version": VERSION, **asdict(self), "landmarks": list(self.landmarks)}
        return {key: value for key, value in values.items() if key not in _OPTIONAL or value not in ("none", [])}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Recipe:
        """Convert from ``to_json``.

        Raises:
            ConfigError: A key is unknown or missing, a value has the wrong type, or the version differs.
        """
        expected = {"version", *(field.name for field in fields(cls))} - set(_OPTIONAL)
        if odd := sorted((set(value) ^ expected) - set(_OPTIONAL)):
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
        steps: dict[str, Any] = {key: str(value[key]) for key in _CHOICES if key in value}
        landmarks = value.get("landmarks", [])
        if not (isinstance(landmarks, list) and all(type(level) in {int, float} for level in landmarks)):
            msg = f"landmarks of a recipe must be a list of numbers, got {landmarks!r}"
            raise ConfigError(msg)
        numbers: dict[str, Any] = {key: float(value[key]) for key in _FLOATS}
        return cls(value["size"], value["crop"], **numbers, **steps, landmarks=tuple(map(float, landmarks)))
