from __future__ import annotations

import traceback
import warnings
from pathlib import Path

import pytest

from brainslice.errors import UnreadableScanError
from brainslice.scan.error_boundary import as_unreadable, quietly
from hospital import PATIENT


@pytest.mark.parametrize("raised", [ValueError, KeyError, RecursionError, NotImplementedError, OSError, AssertionError])
def test_all_exceptions_of_readers_become_unreadable_scan_error(raised: type[Exception]) -> None:
    with pytest.raises(UnreadableScanError, match="the file is damaged") as caught, as_unreadable("the file"):
        raise raised(PATIENT)
    shown = "".join(traceback.format_exception(caught.value))
    assert PATIENT not in shown.replace(Path(__file__).read_text(), "")
    assert raised.__name__ in str(caught.value)


class PanicException(BaseException):
    """What a Rust extension raises, which no ``except Exception`` catches."""


def test_a_panic_of_a_native_decoder_becomes_unreadable_scan_error() -> None:
    with pytest.raises(UnreadableScanError, match="PanicException"), as_unreadable("the file"):
        raise PanicException


def test_running_out_of_memory_has_its_own_message() -> None:
    with pytest.raises(UnreadableScanError, match="more memory"), as_unreadable("the file"):
        raise MemoryError


def test_unreadable_scan_errors_are_not_changed() -> None:
    with pytest.raises(UnreadableScanError, match=r"^mine$"), as_unreadable("the file"):
        raise UnreadableScanError("mine")  # noqa: EM101 - the words are what is looked at


def test_keyboard_interrupts_are_not_converted() -> None:
    with pytest.raises(KeyboardInterrupt), as_unreadable("the file"):
        raise KeyboardInterrupt


def test_warnings_are_suppressed_inside_the_block_only() -> None:
    with quietly():
        with quietly():
            warnings.warn("inner", stacklevel=1)
        warnings.warn("outer", stacklevel=1)
    with pytest.warns(UserWarning, match="after"):
        warnings.warn("after", stacklevel=1)
