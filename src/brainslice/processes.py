"""Functions called in processes of their own, by name and with JSON arguments.

TensorFlow does not return memory to the system, so every training can have a process that ends with it. The processes
end with the one that started them, however it ends.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, Final, TypeAlias, cast

from brainslice import errors
from brainslice.errors import BrainsliceError, WorkerDiedError
from brainslice.progress import Progress

Send: TypeAlias = Callable[[Mapping[str, Any]], None]
"""Sends a message of JSON types to the calling process."""

Listener: TypeAlias = Callable[[Mapping[str, Any]], bool]
"""Receives a message of the function; returns False to end its process."""

_ERROR_BYTES: Final = 2000


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a function in a process of its own.

    Attributes:
        function: ``package.module:function``; it takes the arguments and a ``Send``, and returns JSON types. Where it
            was interrupted, another call continues its work.
        arguments: The arguments, JSON types.
        name: What the process does, for messages.
    """

    function: str
    arguments: Mapping[str, Any]
    name: str


class ProcessGroup:
    """Processes that are killed when the group is closed; use it with ``contextlib.closing``."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self.closed = False

    def close(self) -> None:
        """Kill the processes that run."""
        self.closed = True
        for process in tuple(self._running):
            process.kill()

    def run(self, call: Call, listen: Listener) -> Any:  # noqa: ANN401 - what the function returns
        """Call a function in a new process and wait for its result; where the process is killed, call it once more.

        Args:
            call: The function and its arguments.
            listen: Receives its messages.

        Returns:
            The function's result; None where ``listen`` ended it.

        Raises:
            WorkerDiedError: The process was killed or crashed, twice, or this group was closed.
            BrainsliceError: The function raised it.
        """
        try:
            return self._run_once(call, listen)
        except WorkerDiedError:
            if self.closed:
                raise
            return self._run_once(call, listen)

    def _run_once(self, call: Call, listen: Listener) -> Any:  # noqa: ANN401 - what the function returns
        with tempfile.TemporaryFile() as log, _started(log) as process:
            self._running.add(process)
            try:
                if self.closed:
                    process.kill()
                return result_of(_messages_of(process, call, log), listen)
            finally:
                process.kill()
                self._running.discard(process)


def send_progress(send: Send) -> Progress:
    """Return a progress callback that sends its arguments to the calling process."""
    return lambda step, done, total: send({"progress": [step, done, total]})


def show_progress(progress: Progress, call: Call, message: Mapping[str, Any]) -> None:
    """Report a message of ``send_progress`` under the name of its call."""
    if "progress" in message:
        step, done, total = message["progress"]
        progress(f"{call.name}: {step}", done, total)


@contextlib.contextmanager
def _started(log: IO[bytes]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(  # noqa: S603 - our own module, run by the interpreter that runs this one
        [sys.executable, "-P", "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    ) as process:
        yield process


def _messages_of(process: subprocess.Popen[str], call: Call, log: IO[bytes]) -> Iterator[Mapping[str, Any]]:
    requests, replies = cast(IO[str], process.stdin), cast(IO[str], process.stdout)
    with contextlib.suppress(BrokenPipeError):
        requests.write(json.dumps([call.function, call.arguments]) + "\n")
        requests.flush()
    yield from map(json.loads, replies)
    msg = f"{call.name}: {_reason(process.wait(), log)}; run the same command again to resume"
    raise WorkerDiedError(msg)


def result_of(messages: Iterable[Mapping[str, Any]], listen: Listener) -> Any:  # noqa: ANN401
    """Return the function's result, or None where ``listen`` ends it; ``messages`` ends with a result or an error."""
    for message in messages:
        if "result" in message:
            return message["result"]
        if "error" in message:
            kind, text = message["error"]
            raise getattr(errors, kind, BrainsliceError)(text)
        if not listen(message):
            break
    return None


def _reason(code: int, log: IO[bytes]) -> str:
    if code < 0:
        return f"its process was killed (signal {-code}), perhaps for lack of memory"
    log.seek(max(0, log.seek(0, os.SEEK_END) - _ERROR_BYTES))
    lines = log.read().decode("utf-8", "replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), f"exit code {code}")
    return f"its process ended without a result: {last}"


def _serve(requests: IO[str], replies: IO[str]) -> None:
    """Call the requested function and send its messages and its result."""
    name, arguments = json.loads(requests.readline())
    threading.Thread(target=_end_with_caller, args=(requests,), daemon=True).start()

    def send(message: Mapping[str, Any]) -> None:
        replies.write(json.dumps(message) + "\n")
        replies.flush()

    call_function(name, arguments, send)


def call_function(name: str, arguments: Mapping[str, Any], send: Send) -> None:
    """Call a function by its name and send its messages, and its result or error."""
    module, function = name.split(":")
    try:
        send({"result": getattr(importlib.import_module(module), function)(arguments, send)})
    except BrainsliceError as error:
        send({"error": [type(error).__name__, str(error)]})


def _end_with_caller(requests: IO[str]) -> None:
    """Exit when the calling process closes its end of the pipe, as the system does when it is killed."""
    requests.read()
    os._exit(1)


def _main() -> None:
    # What libraries print must not mix with the replies.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with replies:
        _serve(sys.stdin, replies)


if __name__ == "__main__":
    _main()
