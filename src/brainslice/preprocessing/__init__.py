"""From a slice to network input.

Public names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.preprocessing.geometry import Box, Frame, find_head, inside_frame
    from brainslice.preprocessing.intensity import GreyStatistics, grey_statistics, stretch
    from brainslice.preprocessing.recipe import Recipe

__all__ = ["Box", "Frame", "GreyStatistics", "Recipe", "find_head", "grey_statistics", "inside_frame", "stretch"]

_HOMES = {
    "geometry": ("Box", "Frame", "find_head", "inside_frame"),
    "intensity": ("GreyStatistics", "grey_statistics", "stretch"),
    "recipe": ("Recipe",),
}

__getattr__ = lazy_names(__name__, _HOMES)
