"""The TIFF library beneath Pillow, kept from talking over our heads."""

from __future__ import annotations

import contextlib
import ctypes
from functools import cache
from pathlib import Path

import PIL

# Where Pillow's own packages keep it, for Linux and for macOS; Windows has it inside Pillow, out of reach.
_PLACES = ("../pillow.libs/libtiff*", ".dylibs/libtiff*")


@cache
def silence_libtiff() -> None:
    """Let libtiff print nothing more to standard error, in this process and whatever it reads.

    Of damaged files it says its own piece, past Python and past every log, besides the error that Pillow raises and
    we refuse with. Bending standard error aside while it decodes would swallow what other threads say; taking away
    what it prints with does not. Where the library is not found, its words stay, and nothing else changes.
    """
    for pattern in _PLACES:
        for path in Path(PIL.__file__).parent.glob(pattern):
            with contextlib.suppress(OSError, AttributeError):
                ctypes.CDLL(str(path)).TIFFSetErrorHandler(None)
