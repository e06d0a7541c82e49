"""Reading of slices and volumes.

Public names are loaded on first use.
"""

from __future__ import annotations

from brainslice.lazy import lazy_names

_MODULES = {
    "detect": "is_dicom",
    "dicom.intensity": "functional_group",
    "error_boundary": "as_unreadable",
    "files": "is_folder printable",
    "input_problem": "InputProblem InputProblemError format_series",
    "raster": "RASTER_FORMATS read_raster",
    "read": "SCAN_SUFFIXES decode_scan read_scan",
    "types": "MAX_PIXELS MAX_VOXELS Slice Spacing Volume",
    "volume.orientation": "Plane",
    "volume.reader": "decode_volume read_volume",
}

__getattr__ = lazy_names(__name__, _MODULES)
