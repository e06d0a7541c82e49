"""Drawn heads with and without lesions of three kinds: the demonstration set, and the tests' scans.

They look like MRI slices as far as drawing goes. Nothing measured on them says anything about patients.
"""

from brainslice.phantom.dataset import write_phantoms
from brainslice.phantom.draw import KINDS, Phantom, draw_phantom
from brainslice.phantom.external_site import FEWEST_HEADS, write_external_site

__all__ = ["FEWEST_HEADS", "KINDS", "Phantom", "draw_phantom", "write_external_site", "write_phantoms"]
