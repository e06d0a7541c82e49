"""Codes of a private scheme, used where no standard code fits, and attributes of all objects."""

from __future__ import annotations

from typing import Final

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept

import brainslice

SCHEME: Final = "99BRAINSLICE"
"""The designator of the private scheme."""

RESEARCH_ONLY: Final = "research use only, not for diagnosis"
"""The note in every report."""

MANUFACTURER: Final = "brainslice"
"""The manufacturer of the objects."""

SERIES: Final = "brainslice, research use only"
"""The description of their series."""

CHARACTERS: Final = "ISO_IR 192"
"""UTF-8, for any character in names."""

REPORT_SERIES_NUMBER, MAP_SERIES_NUMBER = 9001, 9002

_MAX_MEANING: Final = 64


def make_code(value: str, meaning: str) -> CodedConcept:
    """Make a code of the private scheme; its meaning is truncated to 64 characters."""
    return CodedConcept(value, SCHEME, meaning if len(meaning) <= _MAX_MEANING else f"{meaning[: _MAX_MEANING - 1]}…")


def coding_scheme() -> CodingSchemeIdentificationItem:
    """Return the identification of the private scheme."""
    return CodingSchemeIdentificationItem(
        SCHEME, name="brainslice", version=brainslice.__version__, responsible_organization="The brainslice authors"
    )
