"""Preprocessing of slices to network inputs; public names are loaded on first use."""

from __future__ import annotations

from brainslice.lazy import lazy_names

_MODULES = {
    "geometry": "Box Frame find_head foreground inside_frame",
    "histogram": "deciles mean_landmarks standardise",
    "intensity": "GreyStatistics grey_statistics stretch",
    "recipe": "Recipe",
}

__getattr__ = lazy_names(__name__, _MODULES)
