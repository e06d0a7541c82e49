"""Reading of slices and volumes.

Public names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.scan.detect import is_dicom
    from brainslice.scan.dicom.intensity import functional_group
    from brainslice.scan.error_boundary import as_unreadable
    from brainslice.scan.files import is_folder, printable
    from brainslice.scan.input_problem import InputProblem, InputProblemError, format_series
    from brainslice.scan.raster import RASTER_FORMATS, read_raster
    from brainslice.scan.read import SCAN_SUFFIXES, decode_scan, read_scan
    from brainslice.scan.types import MOST_PIXELS, MOST_VOXELS, Slice, Spacing, Volume
    from brainslice.scan.volume.orientation import Plane
    from brainslice.scan.volume.reader import decode_volume, read_volume

__all__ = [
    "MOST_PIXELS",
    "MOST_VOXELS",
    "RASTER_FORMATS",
    "SCAN_SUFFIXES",
    "InputProblem",
    "InputProblemError",
    "Plane",
    "Slice",
    "Spacing",
    "Volume",
    "as_unreadable",
    "decode_scan",
    "decode_volume",
    "format_series",
    "functional_group",
    "is_dicom",
    "is_folder",
    "printable",
    "read_raster",
    "read_scan",
    "read_volume",
]

_HOMES = {
    "detect": ("is_dicom",),
    "dicom.intensity": ("functional_group",),
    "error_boundary": ("as_unreadable",),
    "files": ("is_folder", "printable"),
    "input_problem": ("InputProblem", "InputProblemError", "format_series"),
    "raster": ("RASTER_FORMATS", "read_raster"),
    "read": ("SCAN_SUFFIXES", "decode_scan", "read_scan"),
    "types": ("MOST_PIXELS", "MOST_VOXELS", "Slice", "Spacing", "Volume"),
    "volume.orientation": ("Plane",),
    "volume.reader": ("decode_volume", "read_volume"),
}

__getattr__ = lazy_names(__name__, _HOMES)
