"""Jobs for decoder processes, which import this module by its name."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import TypeAlias

from brainslice.scan.input_problem import InputProblem, InputProblemError

Job: TypeAlias = Callable[[bytes], Iterator[int]]


def process_id(_: bytes) -> Iterator[int]:
    yield os.getpid()


def each_byte(data: bytes, more: int) -> Iterator[int]:
    yield from (byte + more for byte in data)


def refuse(_: bytes) -> Iterator[int]:
    yield 1
    raise InputProblemError(InputProblem.SEVERAL_FRAMES, "fault", "remedy", {"frames": 2})


def crash(_: bytes) -> Iterator[int]:
    yield 1
    os.abort()


def loop(_: bytes) -> Iterator[int]:
    while True:
        pass
    yield 1


def panic(_: bytes) -> Iterator[int]:
    class PanicException(BaseException):  # as those of Rust extensions
        pass

    yield 1
    raise PanicException


def exit_early(_: bytes) -> Iterator[int]:
    yield 1
    raise SystemExit


def allocate(_: bytes) -> Iterator[int]:
    yield len(bytearray(1 << 30))


def sleep(_: bytes) -> Iterator[int]:
    time.sleep(600)
    yield 1
