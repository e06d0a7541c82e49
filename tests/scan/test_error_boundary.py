from __future__ import annotations

import traceback
import warnings
from pathlib import Path

import pytest

from brainslice.errors import UnreadableScanError
from brainslice.scan.error_boundary import as_unreadable, quietly
from hospital import PATIENT


@pytest.mark.parametrize("raised", [ValueError, KeyError, RecursionError, NotImplementedError, OSError, AssertionError])
def test_whatever_a_reader_raises_is_the_one_error(raised: type[Exception]) -> None:
    with pytest.raises(UnreadableScanError, match="the file is damaged") as caught, as_unreadable("the file"):
        raise raised(PATIENT)
    shown = "".join(traceback.format_exception(caught.value))
    assert PATIENT not in shown.replace(Path(__file__).read_text(), "")
    assert raised.__name__ in str(caught.value)


class PanicException(BaseException):
    """What a Rust extension raises, which no ``except Exception`` catches."""


def test_a_panic_of_a_native_decoder_is_the_one_error() -> None:
    with pytest.raises(UnreadableScanError, match="PanicException"), as_unreadable("the file"):
        raise PanicException


def test_a_full_memory_is_a_refusal_that_says_so() -> None:
    with pytest.raises(UnreadableScanError, match="more memory"), as_unreadable("the file"):
        raise MemoryError


def test_our_own_refusals_pass_as_they_are() -> None:
    with pytest.raises(UnreadableScanError, match=r"^mine$"), as_unreadable("the file"):
        raise UnreadableScanError("mine")  # noqa: EM101 - the words are what is looked at


def test_an_interrupt_is_no_damage() -> None:
    with pytest.raises(KeyboardInterrupt), as_unreadable("the file"):
        raise KeyboardInterrupt


def test_warnings_are_silent_inside_and_back_outside() -> None:
    with quietly():
        with quietly():
            warnings.warn("inner", stacklevel=1)
        warnings.warn("outer", stacklevel=1)
    with pytest.warns(UserWarning, match="after"):
        warnings.warn("after", stacklevel=1)
