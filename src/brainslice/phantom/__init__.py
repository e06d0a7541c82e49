"""Synthetic MRI slices of heads with and without lesions, for demonstration and tests.

Results on them are not results on patients.
"""

from brainslice.phantom.dataset import MIN_HEADS, write_external_site, write_phantoms
from brainslice.phantom.draw import KINDS, Phantom, draw_phantom

__all__ = ["KINDS", "MIN_HEADS", "Phantom", "draw_phantom", "write_external_site", "write_phantoms"]
