"""A file becomes a slice."""

from brainslice.scan.raster import MOST_PIXELS, read_raster
from brainslice.scan.read import SCAN_SUFFIXES, read_scan
from brainslice.scan.types import Slice, Spacing

__all__ = ["MOST_PIXELS", "SCAN_SUFFIXES", "Slice", "Spacing", "read_raster", "read_scan"]
