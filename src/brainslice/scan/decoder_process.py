"""Decoding in a process of its own, with limits of time and memory; a process that dies is replaced.

Native decoders can panic, loop, or allocate without end. They run here, so that the worst file costs one refusal.
Processes start on first use (one for each thread that decodes at the same time), load only what the job needs, and
end with the program.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle  # both ends of the pipes are this program
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, Final, TypeVar, cast

from brainslice.deadline import check_deadline, remaining_seconds
from brainslice.errors import ResourceError, UnreadableScanError
from brainslice.scan.error_boundary import as_unreadable

Decoded = TypeVar("Decoded")

CPU_SECONDS: Final = 0.5
"""CPU time that a decoder may take for a small file."""

CPU_SECONDS_PER_BYTE: Final = 0.6 / (1 << 20)
"""CPU time added for each byte of the file."""

MEMORY: Final = 400 << 20
"""Bytes that a decoder may allocate; large files get four times their size in addition."""

# Until a process has loaded what the job needs.
_START_SECONDS: Final = 60.0
# Windows cannot limit CPU time; elsewhere this ends decoders that wait for something.
_SECONDS_PER_CPU_SECOND: Final = 2.0 if sys.platform == "win32" else 50.0
_REFUSAL: Final = "the decoder crashed or took too much time or memory; export the scan again without compression"


def decode_isolated(function: Callable[..., Iterable[Decoded]], data: bytes, *arguments: object) -> Iterator[Decoded]:
    """Iterate over ``function(data, *arguments)``, called in a decoder process.

    Args:
        function: A module-level generator function that yields picklable values.
        data: The file's bytes; the limits of time and memory grow with their number.
        *arguments: Further picklable arguments.

    Yields:
        The values of the function; the time limit restarts after each.

    Raises:
        UnreadableScanError: The function raised it, died, or took more time or memory than allowed.
        ResourceError: The system cannot start another process.
        TimeLimitError: The deadline of the context has passed.
    """
    check_deadline()
    worker = _POOL.pop()
    try:
        worker.send(function, data, arguments)
        worker.receive(_seconds(_START_SECONDS))
        limit = _SECONDS_PER_CPU_SECOND * _cpu_seconds(len(data))
        while (reply := worker.receive(_seconds(limit))) is not None:
            yield _value_of(reply)
        _POOL.push(worker)
    except UnreadableScanError:
        _POOL.push(worker)
        raise
    except Exception:  # noqa: BLE001 - half a reply may raise anything
        worker.kill()
        raise UnreadableScanError(_REFUSAL) from None
    except BaseException:  # interrupted, or not iterated to the end: its replies would answer the next request
        worker.kill()
        raise


def _seconds(limit: float) -> float:
    return max(0.0, min(limit, remaining_seconds()))


def _value_of(reply: Any) -> Any:  # noqa: ANN401 - what the function yields
    if isinstance(reply, UnreadableScanError):
        raise reply
    return reply[0]


def _cpu_seconds(length: int) -> float:
    return CPU_SECONDS + CPU_SECONDS_PER_BYTE * length


class _Worker:
    """One decoder process and the pipes to it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own module, run by the interpreter that runs this one
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        self._requests, self._replies = cast(BinaryIO, self._process.stdin), cast(BinaryIO, self._process.stdout)

    def send(self, *request: object) -> None:
        pickle.dump(request, self._requests, pickle.HIGHEST_PROTOCOL)
        self._requests.flush()

    def receive(self, seconds: float) -> Any:  # noqa: ANN401 - ready, a tuple of one, a refusal, or None at the end
        """Wait for the next reply; a process that gives none in time is killed, which ends the wait."""
        timer = threading.Timer(seconds, self._process.kill)
        timer.daemon = True
        timer.start()
        try:
            return pickle.load(self._replies)  # noqa: S301 - written by our own process
        finally:
            timer.cancel()

    def kill(self) -> None:
        self._process.kill()
        for pipe in (self._requests, self._replies):
            with contextlib.suppress(OSError):
                pipe.close()
        self._process.wait()


class _Pool:
    """Decoder processes that wait for work."""

    def __init__(self) -> None:
        self._idle: list[_Worker] = []
        self._forgotten: list[_Worker] = []

    def pop(self) -> _Worker:
        try:
            return self._idle.pop()
        except IndexError:
            pass
        try:
            return _Worker()
        except OSError as error:
            msg = f"a decoder process cannot be started ({error.strerror}); close other programs, then run again"
            raise ResourceError(msg) from error

    def push(self, worker: _Worker) -> None:
        self._idle.append(worker)

    def forget(self) -> None:
        """Drop the processes without ending them: after a fork they belong to the parent."""
        self._forgotten, self._idle = self._idle, []

    def close(self) -> None:
        while self._idle:
            self._idle.pop().kill()


_POOL: Final = _Pool()
atexit.register(_POOL.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_POOL.forget)


def _serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer requests until the pipe is closed."""
    while True:
        try:
            function, data, arguments = pickle.load(requests)  # noqa: S301 - written by our own program
        except EOFError:
            return
        _reply(replies, "ready")
        _limit_memory(MEMORY + 4 * len(data))
        try:
            with as_unreadable("the file"):
                _limit_cpu(_cpu_seconds(len(data)))
                for value in function(data, *arguments):
                    _limit_cpu(0)
                    _reply(replies, (value,))
                    _limit_cpu(_cpu_seconds(len(data)))
            outcome = None
        except UnreadableScanError as error:
            outcome = error.with_traceback(None)
        _limit_cpu(0)
        _limit_memory(None)
        _reply(replies, outcome)


def _reply(replies: BinaryIO, value: object) -> None:
    pickle.dump(value, replies, pickle.HIGHEST_PROTOCOL)
    replies.flush()


def _limit_cpu(seconds: float) -> None:
    """Limit the CPU time of this process; 0 removes the limit. Windows has the wall-time limit only."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _limit_memory(more: int | None) -> None:
    """Limit the bytes that this process may still allocate; None removes the limit. Linux only."""
    if sys.platform == "linux":
        import resource  # noqa: PLC0415 - not on every system

        with open("/proc/self/statm", encoding="ascii") as stream:  # noqa: PTH123 - read for every file
            now = int(stream.read().split()[0]) * resource.getpagesize()
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (most if more is None else now + more, most))


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process decides when to end
    # Output that libraries print must not mix with the replies.
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _serve(sys.stdin.buffer, replies)


if __name__ == "__main__":
    _main()
