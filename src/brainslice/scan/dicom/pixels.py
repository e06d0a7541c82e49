"""Decoding of DICOM pixel data in all common transfer syntaxes, within limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
from pydicom import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1, RLELossless

from brainslice.errors import UnreadableScanError
from brainslice.scan.dicom.codestream import declared_size
from brainslice.scan.dicom.jpeg_lossless import decode_lossless
from brainslice.scan.raster import MAX_SIDE
from brainslice.scan.types import MAX_PIXELS, refuse_sparse

_LOSSLESS_JPEG: Final = frozenset({JPEGLossless, JPEGLosslessSV1})
_GREY_BITS: Final = 8
_PIXEL_ELEMENTS: Final = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def frame_count(image: Dataset) -> int:
    """Return the number of frames in the header.

    Raises:
        UnreadableScanError: The number is below 1.
    """
    count = int(image.get("NumberOfFrames", None) or 1)
    if count < 1:
        msg = f"the number of frames must be at least 1, got {count}; export the file again"
        raise UnreadableScanError(msg)
    return count


def check_pixels(image: Dataset) -> None:
    """Refuse files without an image, and images that are too large, by their header.

    Raises:
        UnreadableScanError: There are no pixels, or too many.
    """
    if not any(name in image for name in _PIXEL_ELEMENTS) or "Rows" not in image or "Columns" not in image:
        msg = "the DICOM file holds no picture; choose one that does"
        raise UnreadableScanError(msg)
    rows, columns, samples = int(image.Rows), int(image.Columns), int(image.get("SamplesPerPixel") or 1)
    if rows * columns * samples > MAX_PIXELS or max(rows, columns) > MAX_SIDE or min(rows, columns) < 1:
        found = f"{rows:,} x {columns:,}" + f" of {samples} samples" * (samples > 1)
        msg = f"must hold pictures of 1 to {MAX_PIXELS:,} pixels, got {found}; scale them down"
        raise UnreadableScanError(msg)
    refuse_sparse(rows * columns * samples, len(image.get("PixelData") or b"") or MAX_PIXELS)


def decode_frames(image: Dataset, frames: Sequence[int]) -> Iterator[np.ndarray]:
    """Decode frames one at a time.

    Args:
        image: The file's elements, with pixels.
        frames: Their indices, in ascending order.

    Yields:
        Stored values ``(h, w)``, or RGB ``(h, w, 3)``.

    Raises:
        UnreadableScanError: They are too large, or of an unsupported transfer syntax.
        Exception: A decoder refuses a damaged frame.
    """
    check_pixels(image)
    syntax = image.file_meta.TransferSyntaxUID
    if syntax.is_private or not _can_read(syntax, int(image.get("BitsStored", 0))):
        msg = f"pictures compressed as {_name_of(syntax)} cannot be read here; export the file without compression"
        raise UnreadableScanError(msg)
    if not syntax.is_encapsulated:
        yield from (_stored_values(array, image) for array, _ in _decoded(image, frames))
        return
    streams = _streams(image, frames)
    if syntax in _LOSSLESS_JPEG:
        yield from (_stored_values(decode_lossless(stream), image, declared_size(stream).bits) for stream in streams)
        return
    # Check every header before the first frame is decoded.
    bits = [0 if syntax == RLELossless else declared_size(stream).bits for stream in streams]
    for (array, _), depth in zip(_decoded(image, frames), bits, strict=True):
        yield _stored_values(array, image, depth)


def _decoded(image: Dataset, frames: Sequence[int]) -> Iterator[tuple[np.ndarray, object]]:
    decoder = get_decoder(image.file_meta.TransferSyntaxUID)
    return decoder.iter_array(image, indices=list(frames), correct_unused_bits=False)


def _streams(image: Dataset, frames: Iterable[int]) -> Iterator[bytes]:
    wanted = set(frames)
    found = generate_frames(image.PixelData, number_of_frames=frame_count(image))
    for number, stream in enumerate(found):
        if number not in wanted:
            continue
        if image.file_meta.TransferSyntaxUID != RLELossless:  # RLE has no header with a size
            declared = declared_size(stream)
            expected = (int(image.Rows), int(image.Columns), int(image.get("SamplesPerPixel", 1)))
            if (declared.rows, declared.columns, declared.samples) != expected:
                msg = f"a compressed picture must be {expected} as the file says, got {declared}; export it again"
                raise UnreadableScanError(msg)
        yield stream


def _stored_values(values: np.ndarray, image: Dataset, depth: int = 0) -> np.ndarray:
    """Extract the stored bits of a grey frame in any transfer syntax: shift, mask and extend the sign.

    Args:
        values: The decoded frame.
        image: The file's elements.
        depth: Bits per sample of the codestream; 0 where there is none, and whole words are stored.
    """
    if values.ndim != 2 or values.dtype.kind not in "iu":  # noqa: PLR2004 - rows, columns
        return values
    bits, allocated = int(image.BitsStored), int(image.BitsAllocated)
    if not 1 <= bits <= allocated:
        msg = f"BitsStored must be 1 to BitsAllocated ({allocated}), got {bits}; export the file again"
        raise UnreadableScanError(msg)
    shift = int(image.get("HighBit", bits - 1)) + 1 - bits
    if not 0 < shift <= allocated - bits or 0 < depth <= bits:
        shift = 0
    kept = (values.astype(np.int64) >> shift) & ((1 << bits) - 1)
    if int(image.get("PixelRepresentation") or 0) == 1:
        kept -= (kept >> (bits - 1)) << bits
    _restore_padding(kept, values, image)
    return kept


def _restore_padding(kept: np.ndarray, words: np.ndarray, image: Dataset) -> None:
    """Restore padding values that do not fit into BitsStored and were lost by masking."""
    padding, bits = image.get("PixelPaddingValue"), int(image.BitsStored)
    if not isinstance(padding, int) or not str(image.get("PhotometricInterpretation")).startswith("MONOCHROME"):
        return
    lowest = -(1 << (bits - 1)) if int(image.get("PixelRepresentation") or 0) == 1 else 0
    if not lowest <= padding < lowest + (1 << bits):
        word = (1 << int(image.BitsAllocated)) - 1
        kept[(words.astype(np.int64) & word) == padding & word] = padding


def _can_read(syntax: UID, bits: int) -> bool:
    if syntax in _LOSSLESS_JPEG:
        return True
    if syntax == JPEGExtended12Bit and bits > _GREY_BITS:
        return False
    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False


def _name_of(syntax: UID) -> str:
    return syntax.name if syntax.name != syntax and not syntax.is_private else "something unknown"
