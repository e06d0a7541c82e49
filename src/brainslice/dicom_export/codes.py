"""The words of a report as codes of our own, so that no standard code is made to say what it does not."""

from __future__ import annotations

from typing import Final

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept

import brainslice

SCHEME: Final = "99BRAINSLICE"
"""Private schemes begin with 99."""

RESEARCH_ONLY: Final = "research use only, not for diagnosis"
"""What stands in every object, in its series and in its content."""

MANUFACTURER: Final = "brainslice"
"""Who made the objects."""

SERIES: Final = "brainslice, research use only"
"""What their series are called."""

CHARACTERS: Final = "ISO_IR 192"
"""UTF-8: names of patients and of classes may hold any letter."""

REPORT_SERIES_NUMBER, MAP_SERIES_NUMBER = 9001, 9002

_LONGEST: Final = 64


def make_code(value: str, meaning: str) -> CodedConcept:
    """Make a code of ours; its meaning is cut to the 64 characters DICOM has for it."""
    return CodedConcept(value, SCHEME, meaning if len(meaning) <= _LONGEST else f"{meaning[: _LONGEST - 1]}…")


def coding_scheme() -> CodingSchemeIdentificationItem:
    """Say whose scheme it is."""
    return CodingSchemeIdentificationItem(
        SCHEME, name="brainslice", version=brainslice.__version__, responsible_organization="The brainslice authors"
    )
