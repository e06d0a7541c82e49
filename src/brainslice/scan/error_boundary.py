"""The one boundary around all readers: whatever they raise is one refusal, and they never talk by themselves."""

from __future__ import annotations

import contextlib
import logging
import threading
import warnings
from collections.abc import Iterator
from typing import Final

from brainslice.errors import UnreadableScanError


class _Quiet:
    """Warnings are switched off while any thread decodes, and back on after the last one.

    ``warnings.catch_warnings`` alone would let two threads restore each other's filters in the wrong order.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._decoding = 0
        self._kept = contextlib.ExitStack()

    def begin(self) -> None:
        with self._lock:
            if self._decoding == 0:
                self._kept.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
            self._decoding += 1

    def end(self) -> None:
        with self._lock:
            self._decoding -= 1
            if self._decoding == 0:
                self._kept.close()


_QUIET: Final = _Quiet()

# Pillow logs some complaints besides raising them; where nobody has asked for its log they would be printed.
logging.getLogger("PIL").addHandler(logging.NullHandler())


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Let no reader warn: it would say what our one error says anyway, or name what must not be named."""
    _QUIET.begin()
    try:
        yield
    finally:
        _QUIET.end()


@contextlib.contextmanager
def as_unreadable(what: str) -> Iterator[None]:
    """Turn whatever a reader raises into the one error for files, and keep it from warning.

    Readers quote what they stumble over, and that may be a patient's name: only the kind of their complaint
    is passed on, and neither their words nor their traceback.

    Args:
        what: What is being read, as in ``the DICOM file``.

    Raises:
        UnreadableScanError: Anything went wrong inside.
    """
    with quietly():
        try:
            yield
        except UnreadableScanError:
            raise
        except MemoryError:
            msg = f"{what} needs more memory than there is; close other programs, or export one slice alone"
            raise UnreadableScanError(msg) from None
        except Exception as error:  # noqa: BLE001 - of damaged files each library raises half a dozen types
            msg = f"{what} is damaged or cut short ({type(error).__name__}); export it again"
            raise UnreadableScanError(msg) from None
