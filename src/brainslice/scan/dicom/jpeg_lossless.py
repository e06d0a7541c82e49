"""Decoder of lossless JPEG (process 14), the most common compression before JPEG 2000.

Other decoders for Python are licensed under the GPL, or take more than 40 MB.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from brainslice.array_types import Int64, UInt16
from brainslice.errors import UnreadableScanError

MAX_PIXELS: Final = 1 << 21
"""Maximum number of pixels: this decoder takes a second for a million."""

_LOSSLESS: Final = 0xC3
_TABLES, _SCAN, _RESTARTS, _END = 0xC4, 0xDA, 0xDD, 0xD9
_LEFT, _ABOVE, _PLANE = 1, 2, 4
_WORD: Final = 32
_PEEK: Final = 16
# This size means a fixed difference without further bits.
_FULL_SIZE: Final = 16
_FULL_DIFFERENCE: Final = 32768


@dataclass(slots=True)
class _Header:
    """The segments before the compressed data."""

    precision: int = 0
    rows: int = 0
    columns: int = 0
    samples: int = 0
    restart: int = 0
    predictor: int = 0
    shift: int = 0
    table: int = 0
    codes: dict[int, _Codes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Codes:
    """A Huffman table: code length and number of extra bits, for all values of the next 16 bits."""

    lengths: list[int]
    sizes: list[int]


def decode_lossless(stream: bytes) -> UInt16[np.ndarray, "h w"]:
    """Decode a grey image of JPEG process 14.

    Args:
        stream: The compressed image.

    Returns:
        The stored values, unsigned.

    Raises:
        UnreadableScanError: The image is damaged, too large, coloured, or of another process.

    Reference:
        ITU-T T.81, Digital compression and coding of continuous-tone still images, annex H.
    """
    header, start = _read_header(stream)
    if header.samples != 1:
        msg = "must be grey, got several colours"
        raise _refusal(msg)
    count = header.rows * header.columns
    if count > MAX_PIXELS:
        msg = f"must have at most {MAX_PIXELS:,} pixels, got {count:,}"
        raise _refusal(msg)
    if count > 8 * len(stream):  # every pixel takes a bit at least
        msg = "is cut short"
        raise _refusal(msg)
    pieces = _between_restarts(stream[start:])
    rows = header.restart // header.columns or header.rows
    if header.restart % header.columns:
        msg = "must restart at the beginning of rows, got restarts inside them"
        raise _refusal(msg)
    parts: list[Int64[np.ndarray, "rows w"]] = []
    for first in range(0, header.rows, rows):
        count = min(rows, header.rows - first)
        if len(parts) >= len(pieces):
            msg = "is cut short"
            raise _refusal(msg)
        differences = _differences(pieces[len(parts)], count * header.columns, header.codes[header.table])
        parts.append(_undo(differences.reshape(count, header.columns), header))
    return (np.concatenate(parts) << header.shift).astype(np.uint16)


def _read_header(stream: bytes) -> tuple[_Header, int]:
    header = _Header()
    at = 2
    while at + 4 <= len(stream):
        marker, length = stream[at + 1], int.from_bytes(stream[at + 2 : at + 4], "big")
        body = stream[at + 4 : at + 2 + length]
        at += 2 + length
        if marker == _LOSSLESS:
            header.precision, header.rows, header.columns, header.samples = struct.unpack_from(">BHHB", body)
        elif marker == _TABLES:
            header.codes |= _read_codes(body)
        elif marker == _RESTARTS:
            (header.restart,) = struct.unpack_from(">H", body)
        elif marker == _SCAN:
            if not (header.rows and header.columns):
                break
            header.table, header.predictor, header.shift = body[2] >> 4, body[-3], body[-1] & 15
            return header, at
    msg = "has no header of the lossless process"
    raise _refusal(msg)


def _read_codes(body: bytes) -> dict[int, _Codes]:
    found = {}
    while len(body) > 16:  # noqa: PLR2004 - sixteen counts, one for each length of a code
        name, counts = body[0] & 15, body[1:17]
        sizes = body[17 : 17 + sum(counts)]
        found[name] = _table(counts, sizes)
        body = body[17 + len(sizes) :]
    return found


def _table(counts: bytes, sizes: bytes) -> _Codes:
    lengths, values = np.zeros(1 << _PEEK, np.int64), np.zeros(1 << _PEEK, np.int64)
    start = taken = 0
    for length, count in enumerate(counts, 1):
        width = 1 << (_PEEK - length)
        for size in sizes[taken : taken + count]:
            lengths[start : start + width] = length
            values[start : start + width] = size
            start += width
        taken += count
    return _Codes(lengths.tolist(), values.tolist())


def _between_restarts(data: bytes) -> list[bytes]:
    pieces, first, at = [], 0, 0
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        marker = data[at + 1]
        if 0xD0 <= marker <= 0xD7 or marker == _END:  # noqa: PLR2004 - the eight restart markers
            pieces.append(data[first:at].replace(b"\xff\x00", b"\xff"))
            first = at + 2
            if marker == _END:
                return pieces
        at += 2 if marker != 0xFF else 1  # noqa: PLR2004 - fill bytes before a marker
    return [*pieces, data[first:].replace(b"\xff\x00", b"\xff")]


def _differences(data: bytes, count: int, codes: _Codes) -> Int64[np.ndarray, " n"]:
    """Decode differences: each is a Huffman code of its size, then its bits."""
    words = struct.iter_unpack(">I", data + bytes(-len(data) % 4 + 8))
    lengths, sizes = codes.lengths, codes.sizes
    found = array("i", bytes(4 * count))
    bits = have = read = 0
    for place in range(count):
        if have < _WORD:
            following = next(words, None)
            if following is None:
                msg = "is cut short"
                raise _refusal(msg)
            bits, have, read = (bits & ((1 << have) - 1)) << _WORD | following[0], have + _WORD, read + _WORD
        peek = bits >> (have - _PEEK) & 0xFFFF
        size = sizes[peek]
        have -= lengths[peek]
        if not lengths[peek] or size > _FULL_SIZE:
            msg = "is damaged"
            raise _refusal(msg)
        if size == _FULL_SIZE:
            found[place] = _FULL_DIFFERENCE
        elif size:
            have -= size
            extra = bits >> have & ((1 << size) - 1)
            found[place] = extra if extra >> (size - 1) else extra - (1 << size) + 1
    if read - have > 8 * len(data):
        msg = "is cut short"
        raise _refusal(msg)
    return np.frombuffer(found, dtype=np.intc).astype(np.int64)


def _undo(differences: Int64[np.ndarray, "h w"], header: _Header) -> Int64[np.ndarray, "h w"]:
    """Add the predictions to the differences, modulo 65,536."""
    differences[0, 0] += 1 << (header.precision - header.shift - 1)
    if header.predictor == _LEFT:
        differences[:, 0] = np.cumsum(differences[:, 0])
        return np.cumsum(differences, axis=1) & 0xFFFF
    if header.predictor == _ABOVE:
        differences[0] = np.cumsum(differences[0])
        return np.cumsum(differences, axis=0) & 0xFFFF
    if header.predictor == _PLANE:
        return np.cumsum(np.cumsum(differences, axis=0), axis=1) & 0xFFFF
    values = np.zeros_like(differences)
    values[0] = np.cumsum(differences[0]) & 0xFFFF
    for row in range(1, len(values)):
        values[row] = _next_row(values[row - 1].tolist(), differences[row].tolist(), header.predictor)
    return values


def _next_row(above: list[int], differences: list[int], predictor: int) -> list[int]:
    left = (above[0] + differences[0]) & 0xFFFF
    row = [left]
    for place in range(1, len(above)):
        left = (_predicted(left, above[place], above[place - 1], predictor) + differences[place]) & 0xFFFF
        row.append(left)
    return row


def _predicted(left: int, above: int, corner: int, predictor: int) -> int:
    match predictor:
        case 3:
            return corner
        case 5:
            return left + ((above - corner) >> 1)
        case 6:
            return above + ((left - corner) >> 1)
        case 7:
            return (left + above) >> 1
        case _:
            msg = f"must have a predictor of 1 to 7, got {predictor}"
            raise _refusal(msg)


def _refusal(fault: str) -> UnreadableScanError:
    return UnreadableScanError(f"a lossless JPEG in the DICOM file {fault}; export it again without compression")
