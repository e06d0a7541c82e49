"""Reading of raster images: PNG, JPEG, TIFF, BMP, WebP and GIF in all modes."""

from __future__ import annotations

import io
import struct
from typing import Final

import numpy as np
from PIL import ExifTags, Image, ImageChops, ImageFile, TiffImagePlugin, UnidentifiedImageError

from brainslice.arrays import Pixels
from brainslice.errors import UnreadableScanError
from brainslice.scan.error_boundary import quietly
from brainslice.scan.input_problem import frame_index
from brainslice.scan.types import MAX_PIXELS, Slice, refuse_sparse

MAX_SIDE: Final = 65_535
"""Maximum rows or columns: resizing takes memory in proportion to the longer side."""

RASTER_FORMATS: Final = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF")
"""Pillow's names of the accepted formats."""

MAX_FRAMES: Final = 1_000
"""Maximum number of frames or pages in a file."""

# Pixels of the frames before the chosen one, which are decoded too.
_MAX_SKIPPED: Final = 64_000_000
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"BM", b"RIFF", b"GIF8")

_TIFF = (b"II*\0", b"MM\0*")

# Pillow modes with more than 8 bits; their values are kept.
_HIGH_BIT_MODES = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})

# Pillow's raw modes of 16-bit PNG colours, and the modes that read their upper and lower bytes.
_COLOUR_MODES_16_BIT: Final = {
    "RGB;16B": ("RGB;16B", "RGB;16L"),
    "RGBA;16B": ("RGBA;16B", "RGBA;16L"),
    "LA;16B": ("RGBA",),
}
_LUMINANCE: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_COLOURS: Final = 3
_SAMPLE_FORMAT, _SIGNED, _MAX_SIGNED = 339, 2, 127

# Pillow decodes 64-bit floats, but does not register them for TIFF.
TiffImagePlugin.OPEN_INFO.setdefault((b"II", 1, (3,), 1, (64,), ()), ("F", "F;64F"))
TiffImagePlugin.OPEN_INFO.setdefault((b"MM", 1, (3,), 1, (64,), ()), ("F", "F;64BF"))

_ORIENTATIONS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_raster(data: bytes, digest: str, frame: int | None = None) -> Slice:
    """Decode an image to one grey channel, rotated by its EXIF orientation.

    Colours become grey by ITU-R BT.601; transparency is composed over black. Values of 16 and 32 bits are kept, all
    others are 0 to 255.

    Args:
        data: All bytes of the file.
        digest: The sha256 of the bytes, in hexadecimal.
        frame: The frame or page, from 1; None where the file must have one only.

    Raises:
        UnreadableScanError: The image is larger than ``MAX_PIXELS``, damaged, of an unsupported format, or one of
            several and none was chosen.
    """
    with quietly():
        try:
            return Slice(_decode(data, frame), digest)
        except UnreadableScanError:
            raise
        except Exception as error:  # Pillow raises many exception types on damaged files
            raise UnreadableScanError(_fault(error, data)) from error


def invert_grey(values: Pixels) -> Pixels:
    """Invert grey values within their range."""
    return np.float32(float(values.min()) + float(values.max())) - values


def _decode(data: bytes, frame: int | None) -> Pixels:
    with Image.open(io.BytesIO(data), formats=RASTER_FORMATS) as image:
        _refuse_large(image, len(data))
        _seek(image, frame)
        # Pages of one file may differ in size.
        _refuse_large(image, len(data))
        grey_16_bit = _colours_16_bit(image, data)
        image.load()
        shown = _grey(image) if grey_16_bit is None else Image.fromarray(grey_16_bit)
        values = np.array(_apply_orientation(image, shown), dtype=np.float32)
        if _is_signed_byte(image):
            values[values > _MAX_SIGNED] -= 256
        return invert_grey(values) if _is_inverted(image) else values


def _seek(image: Image.Image, frame: int | None) -> None:
    # The further images of an MPO photograph are previews.
    count = 1 if image.format == "MPO" else _frame_count(image)
    index = frame_index(frame, count, "frames or pages", volume=False)
    columns, rows = image.size
    if index * rows * columns > _MAX_SKIPPED:
        latest = 1 + _MAX_SKIPPED // (rows * columns)
        msg = f"frame must be at most {latest} in pictures of this size, got {frame}; save it as a picture of its own"
        raise UnreadableScanError(msg)
    if index > 0:
        image.seek(index)


def _frame_count(image: Image.Image) -> int:
    count = _page_count(image) if image.format == "TIFF" else int(getattr(image, "n_frames", 1))
    if count > MAX_FRAMES:
        msg = f"must hold at most {MAX_FRAMES:,} frames or pages, got more; save one as a picture of its own"
        raise UnreadableScanError(msg)
    return count


def _page_count(image: Image.Image) -> int:
    # Counted up to the limit only: the time that Pillow takes grows with the square of the number.
    for page in range(1, MAX_FRAMES + 1):
        try:
            image.seek(page)
        except EOFError:
            image.seek(0)
            return page
    return MAX_FRAMES + 1


def _refuse_large(image: Image.Image, length: int) -> None:
    columns, rows = image.size
    refuse_sparse(rows * columns, length)
    if rows * columns > MAX_PIXELS or max(rows, columns) > MAX_SIDE:
        raise UnreadableScanError(_too_large(f"{rows:,} x {columns:,}"))


def _is_inverted(image: Image.Image) -> bool:
    # Pillow inverts TIFFs of 8 bits only.
    tags = getattr(image, "tag_v2", {})
    return image.mode in _HIGH_BIT_MODES and tags.get(ExifTags.Base.PhotometricInterpretation) == 0


def _is_signed_byte(image: Image.Image) -> bool:
    # Pillow reads signed bytes as unsigned.
    tags = getattr(image, "tag_v2", {})
    return image.mode == "L" and tags.get(_SAMPLE_FORMAT, (1,))[0] == _SIGNED


def _too_large(found: str) -> str:
    return f"must be a picture of at most {MAX_PIXELS:,} pixels and {MAX_SIDE:,} a side, got {found}; scale it down"


def _apply_orientation(image: Image.Image, shown: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except (ValueError, TypeError, KeyError, OSError, SyntaxError, OverflowError, struct.error):
        # Damaged EXIF data are no reason to refuse the image.
        return shown
    turn = _ORIENTATIONS.get(orientation) if isinstance(orientation, int) else None
    return shown if turn is None else shown.transpose(turn)


def _colours_16_bit(image: ImageFile.ImageFile, data: bytes) -> Pixels | None:
    """Read 16-bit PNG colours as grey ``(h, w)``; Pillow itself keeps the upper 8 bits only."""
    modes = _COLOUR_MODES_16_BIT.get(str(image.tile[0].args)) if image.format == "PNG" and image.tile else None
    if modes is None:
        return None
    halves = []
    for mode in modes:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as half:
            half.tile = [tile._replace(args=mode) for tile in half.tile]
            halves.append(np.asarray(half).astype(np.uint16))
    # Grey with alpha has four bytes a pixel: those of the grey value, then those of alpha.
    high, low = halves if len(halves) > 1 else (halves[0][..., ::2], halves[0][..., 1::2])
    values = (high << 8 | low).astype(np.float32)
    colours = values[..., : 3 if values.shape[2] >= _COLOURS else 1]
    grey = colours @ _LUMINANCE if colours.shape[2] == _COLOURS else colours[..., 0]
    if values.shape[2] > colours.shape[2]:
        grey = grey * (values[..., -1] / np.float32(65535))
    elif (key := image.info.get("transparency")) is not None:
        grey = np.where((colours == np.asarray(key, dtype=np.float32)).all(axis=-1), np.float32(0), grey)
    return grey.astype(np.float32, copy=False)


def _grey(image: Image.Image) -> Image.Image:
    if image.mode in _HIGH_BIT_MODES:
        return image
    if image.mode == "LAB":
        return image.getchannel("L")
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        return ImageChops.multiply(layers.convert("L"), layers.getchannel("A"))
    return image.convert("L")


def _fault(error: Exception, data: bytes) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return _too_large("far more")
    if isinstance(error, UnidentifiedImageError) and not data.startswith(_SIGNATURES):
        opening = f"a file that begins with {data[:8].hex(' ')}" if data else "an empty file"
        formats = ", ".join(RASTER_FORMATS)
        return f"must be a picture ({formats}), DICOM or NIfTI, got {opening}; export it as PNG"
    if isinstance(error, MemoryError):
        return "the picture needs more memory than there is; close other programs, or scale it down"
    # For unidentified files Pillow's message is a memory address.
    unknown = isinstance(error, UnidentifiedImageError)
    if unknown and data[:4] in _TIFF:
        return "the TIFF is damaged, or its numbers are of a kind not read here; export it with 8, 16 or 32 bits"
    said = "no header that is known" if unknown else " ".join(str(error).split())[:120]
    return f"the picture is damaged or cut short ({said or type(error).__name__}); export it again"
