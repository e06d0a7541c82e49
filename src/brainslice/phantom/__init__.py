"""Synthetic MRI slices of heads with and without lesions, for demonstration and tests.

Results on them are not results on patients. Public names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.phantom.dataset import MIN_HEADS, write_external_site, write_phantoms
    from brainslice.phantom.draw import KINDS, draw_phantom

__getattr__ = lazy_names(__name__)
