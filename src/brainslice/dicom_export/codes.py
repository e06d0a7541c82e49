"""Codes of a private scheme, used where no standard code fits, and attributes of all objects."""

from __future__ import annotations

import uuid
from typing import Final

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept
from pydicom.uid import UID

import brainslice

SCHEME: Final = "99BRAINSLICE"
"""The designator of the private scheme."""

MANUFACTURER: Final = "brainslice"
"""The manufacturer of the objects."""

SERIES: Final = "brainslice, research use only"
"""The description of their series."""

CHARACTERS: Final = "ISO_IR 192"
"""UTF-8, for any character in names."""

SERIES_NUMBERS: Final = {"report": 9001, "map": 9002, "capture": 9003}
"""The series of each kind of object."""

_MAX_MEANING: Final = 64  # bytes in UTF-8


def make_code(value: str, meaning: str) -> CodedConcept:
    """Make a code of the private scheme; its meaning is truncated to the 64 bytes that DICOM allows."""
    encoded = meaning.encode()
    if len(encoded) > _MAX_MEANING:
        meaning = encoded[: _MAX_MEANING - 3].decode("utf-8", "ignore") + "..."
    return CodedConcept(value, SCHEME, meaning)


def make_uid(*parts: str) -> UID:
    """Derive a UID: equal parts give equal UIDs."""
    return UID(f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, '/'.join(('brainslice', *parts))).int}")


def coding_scheme() -> CodingSchemeIdentificationItem:
    """Return the identification of the private scheme."""
    return CodingSchemeIdentificationItem(
        SCHEME, name="brainslice", version=brainslice.__version__, responsible_organization="The brainslice authors"
    )
