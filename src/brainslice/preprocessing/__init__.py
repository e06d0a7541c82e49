"""Preprocessing of slices to network inputs; public names are loaded on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.preprocessing.geometry import Box, find_head
    from brainslice.preprocessing.histogram import LANDMARKS, deciles, mean_landmarks
    from brainslice.preprocessing.intensity import grey_statistics, percentiles, stretch
    from brainslice.preprocessing.recipe import Recipe

__getattr__ = lazy_names(__name__)
