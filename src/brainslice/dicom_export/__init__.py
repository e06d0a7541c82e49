"""A prediction goes back to where its scan came from: a DICOM report and a DICOM map.

The patient of a source is copied here from data set to data set, as objects of one study must have it, and goes nowhere
else: into no value, no message, no log.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.dicom_export.writer import write_dicom

__all__ = ["write_dicom"]

_HOMES = {
    "writer": ("write_dicom",),
}

# Both quote what they stumble over, and that may be a patient's name.
for _name in ("highdicom", "pydicom"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

__getattr__ = lazy_names(__name__, _HOMES)
