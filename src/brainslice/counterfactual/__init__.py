"""Counterfactual pictures: the same head with and without its lesion, and shams.

Public names are loaded on first use.
"""

from __future__ import annotations

from brainslice.lazy import lazy_names

_MODULES = {
    "generation": "Counterfactual OutlinedScans make_counterfactuals make_test_twins",
    "mirror": (
        "BACKGROUND MIN_SYMMETRY Midline MirrorTwins feathered find_midline mirror_region mirror_sham "
        "mirror_twins opposite widened"
    ),
    "patches": "Patch Pictures change_contrast find_lesion find_tissue lies_on_head paste rim",
}

__getattr__ = lazy_names(__name__, _MODULES)
