"""A slice becomes network input."""

from brainslice.prepare.geometry import Box, Frame, find_head, inside_frame
from brainslice.prepare.intensity import GreyStatistics, grey_statistics, stretch
from brainslice.prepare.recipe import Recipe

__all__ = [
    "Box",
    "Frame",
    "GreyStatistics",
    "Recipe",
    "find_head",
    "grey_statistics",
    "inside_frame",
    "stretch",
]
