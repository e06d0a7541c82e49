"""A file becomes a slice."""

from brainslice.scan.raster import MOST_PIXELS, read_raster
from brainslice.scan.read import SCAN_SUFFIXES, decode_scan, read_scan
from brainslice.scan.types import Slice, Spacing

__all__ = ["MOST_PIXELS", "SCAN_SUFFIXES", "Slice", "Spacing", "decode_scan", "read_raster", "read_scan"]
