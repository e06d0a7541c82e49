"""Conversion of the exceptions of file readers, and suppression of their warnings."""

from __future__ import annotations

import contextlib
import logging
import threading
import warnings
from collections.abc import Iterator
from typing import Final

from brainslice.errors import UnreadableScanError


class _WarningSwitch:
    """Suppress warnings while any thread decodes.

    ``warnings.catch_warnings`` alone would let two threads restore each other's filters in the wrong order.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._decoding = 0
        self._filters = contextlib.ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if self._decoding == 0:
                self._filters.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
            self._decoding += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._decoding -= 1
            if self._decoding == 0:
                self._filters.close()


_WARNINGS_OFF: Final = _WarningSwitch()

# Pillow also logs; without a handler, records above WARNING would be printed.
logging.getLogger("PIL").addHandler(logging.NullHandler())


def quietly() -> contextlib.AbstractContextManager[None]:
    """Suppress the warnings of readers, which may quote a patient's name."""
    return _WARNINGS_OFF


@contextlib.contextmanager
def as_unreadable(what: str) -> Iterator[None]:
    """Turn all exceptions of a reader into ``UnreadableScanError``, and suppress its warnings.

    Messages of readers may quote a patient's name, so that only the type of the exception is kept. Native decoders
    may raise a ``BaseException``, such as a panic of a Rust extension.

    Args:
        what: The subject of the message, such as ``the DICOM file``.

    Raises:
        UnreadableScanError: The block raised an exception.
    """
    with quietly():
        try:
            yield
        except (UnreadableScanError, KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except MemoryError:
            msg = f"{what} needs more memory than there is; close other programs, or export one slice alone"
            raise UnreadableScanError(msg) from None
        except BaseException as error:  # noqa: BLE001 - each library raises half a dozen types
            msg = f"{what} is damaged or cut short ({type(error).__name__}); export it again"
            raise UnreadableScanError(msg) from None
