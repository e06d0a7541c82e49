"""Counterfactual pictures: the same head with and without its lesion, and shams.

Public names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.counterfactual.generation import (
        Counterfactual,
        OutlinedScans,
        make_counterfactuals,
        make_test_twins,
    )
    from brainslice.counterfactual.mirror import BACKGROUND

__getattr__ = lazy_names(__name__)
