"""Image sizes in the headers of JPEG, JPEG-LS and JPEG 2000 codestreams.

Decoders allocate what the codestream claims, which may be gigabytes; so it must agree with the DICOM file first.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from brainslice.errors import UnreadableScanError

_JPEG_STARTS: Final = b"\xff\xd8"
_JPEG_2000_STARTS: Final = b"\xff\x4f\xff\x51"
# Frame headers of all JPEG processes and of JPEG-LS; the three markers left out are tables.
_FRAME_MARKERS: Final = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
_MARKER: Final = 0xFF
# Some DICOM files hold JP2 boxes around the codestream, against the standard.
_BOXES_END: Final = 512


@dataclass(frozen=True, slots=True)
class DeclaredSize:
    """Rows, columns, samples per pixel and bits per sample in the header of a compressed frame."""

    rows: int
    columns: int
    samples: int
    bits: int = field(default=0, compare=False, repr=False)


def declared_size(stream: bytes) -> DeclaredSize:
    """Read the size from the header of a JPEG, JPEG-LS or JPEG 2000 codestream.

    Raises:
        UnreadableScanError: There is no such header.
    """
    found = _jpeg_size(stream) if stream[:2] == _JPEG_STARTS else _jpeg_2000_size(stream)
    if found is None:
        msg = "a compressed picture in the DICOM file has no header; export it again"
        raise UnreadableScanError(msg)
    return found


def _jpeg_size(stream: bytes) -> DeclaredSize | None:
    at = 2
    while at + 10 <= len(stream) and stream[at] == _MARKER:
        marker = stream[at + 1]
        if marker == _MARKER:  # fill bytes between segments
            at += 1
            continue
        if marker in _FRAME_MARKERS:
            bits, rows, columns, samples = struct.unpack_from(">BHHB", stream, at + 4)
            return DeclaredSize(rows, columns, samples, bits)
        at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    return None


def _jpeg_2000_size(stream: bytes) -> DeclaredSize | None:
    at = stream.find(_JPEG_2000_STARTS, 0, _BOXES_END)
    if at < 0 or len(stream) < at + 44:
        return None
    right, bottom, left, top = struct.unpack_from(">IIII", stream, at + 8)
    samples, depth = struct.unpack_from(">HB", stream, at + 40)
    return DeclaredSize(bottom - top, right - left, samples, (depth & 0x7F) + 1)
