"""Export of predictions as DICOM structured reports, parametric maps and key images.

Patient attributes are copied from the source to the objects of its study, and appear in no message or log.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.dicom_export.source import read_source, series_uid
    from brainslice.dicom_export.writer import write_dicom, write_volume_dicom


# Their log messages quote values, which may be a patient's name.
for _name in ("highdicom", "pydicom"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

__getattr__ = lazy_names(__name__)
