"""A small file of every format, and what reading one may come to."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from brainslice.errors import UnreadableScanError
from brainslice.scan import Slice, Volume
from hospital import COMPRESSED, big_endian, compressed, image, nifti, slice_at, written

GREY = np.random.default_rng(6).integers(0, 4000, (36, 40)).astype(np.uint16)


def picture(encoding: str, frames: int = 1, **options: object) -> bytes:
    """Encode the drawn picture, with several frames where asked."""
    buffer = io.BytesIO()
    pages = [Image.fromarray((GREY >> 4).astype(np.uint8) + page) for page in range(frames)]
    pages[0].save(buffer, encoding, **({"save_all": True, "append_images": pages[1:]} if frames > 1 else {}), **options)
    return buffer.getvalue()


FORMATS: dict[str, bytes] = {
    **{encoding: picture(encoding) for encoding in ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")},
    "animated PNG": picture("PNG", 3),
    "animated GIF": picture("GIF", 3),
    "TIFF, LZW": picture("TIFF", 2, compression="tiff_lzw"),
    "progressive JPEG": picture("JPEG", progressive=True),
    "DICOM": slice_at(GREY, 1.0, WindowCenter=2000, WindowWidth=4000),
    "DICOM, big endian": big_endian(image(GREY)),
    "DICOM, frames": written(image(np.stack([GREY, GREY + 1, GREY + 2]))),
    **{f"DICOM, {syntax.name}": compressed(image(GREY), syntax) for syntax in COMPRESSED},
    "NIfTI": nifti(np.stack([GREY] * 4, axis=-1).astype(np.int16)),
    "NIfTI-2, compressed": gzip.compress(nifti(GREY[..., None].astype(np.int16), second=True), mtime=0),
}


def outcome(read: Callable[[], Slice | Volume]) -> str:
    """Call a reader that must return finite values or refuse; return the refusal, or a text like one."""
    try:
        found = read()
    except UnreadableScanError as error:
        return str(error)
    assert np.isfinite(found.pixels if isinstance(found, Slice) else found.voxels).all()
    return "mutant: read; finite"
