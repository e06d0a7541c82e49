"""Reading of slices and volumes.

Public names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.scan.detect import OPENING, detect_format, is_dicom
    from brainslice.scan.dicom.intensity import functional_group
    from brainslice.scan.error_boundary import as_unreadable
    from brainslice.scan.files import is_folder, leading_bytes, printable
    from brainslice.scan.input_problem import InputProblem, InputProblemError, format_series
    from brainslice.scan.listing import SkippedFiles, reason_to_skip, walk_scans, walk_store
    from brainslice.scan.raster import RASTER_FORMATS
    from brainslice.scan.read import SCAN_SUFFIXES, decode_scan, read_scan
    from brainslice.scan.types import Remark, RemarkCode, Slice, SourceStack, Volume
    from brainslice.scan.volume.orientation import Plane
    from brainslice.scan.volume.reader import MAX_FILES, decode_volume, read_volume

__getattr__ = lazy_names(__name__)
