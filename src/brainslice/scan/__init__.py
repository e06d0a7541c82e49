"""A file becomes a slice, and a series a volume."""

from brainslice.scan.orientation import Plane
from brainslice.scan.raster import read_raster
from brainslice.scan.read import SCAN_SUFFIXES, decode_scan, read_scan
from brainslice.scan.types import MOST_PIXELS, MOST_VOXELS, Slice, Spacing, Volume
from brainslice.scan.volume import decode_volume, read_volume

__all__ = [
    "MOST_PIXELS",
    "MOST_VOXELS",
    "SCAN_SUFFIXES",
    "Plane",
    "Slice",
    "Spacing",
    "Volume",
    "decode_scan",
    "decode_volume",
    "read_raster",
    "read_scan",
    "read_volume",
]
