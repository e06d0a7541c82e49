"""Functions that tests call in processes of their own."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from brainslice.errors import ConfigError, ResourceError
from brainslice.processes import Send


def add(arguments: Mapping[str, Any], send: Send) -> dict[str, Any]:
    """Add two numbers, with a print that must not disturb, and a message."""
    sys.stdout.write("printed by a library\n")
    send({"progress": ["adding", 1, 1]})
    return {"sum": arguments["a"] + arguments["b"], "process": os.getpid()}


def refuse(_arguments: Mapping[str, Any], _send: Send) -> None:
    """Raise an error that the caller gets."""
    msg = "train.lr must be > 0, got -1"
    raise ConfigError(msg)


def crash(_arguments: Mapping[str, Any], _send: Send) -> None:
    """Raise an error of a library."""
    msg = "a library failed"
    raise ValueError(msg)


def be_killed(_arguments: Mapping[str, Any], _send: Send) -> None:
    """End as if the system had killed it."""
    os.kill(os.getpid(), signal.SIGKILL)


def wait(arguments: Mapping[str, Any], send: Send) -> None:
    """Write the number of the process, send messages, and wait."""
    Path(arguments["file"]).write_text(str(os.getpid()), encoding="utf-8")
    for number in range(10_000):
        send({"number": number})
        time.sleep(0.05)


def resume(arguments: Mapping[str, Any], _send: Send) -> str:
    """Be killed in the first call, and continue in the second."""
    file = Path(arguments["file"])
    if not file.exists():
        file.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "resumed"


def slow_trial(arguments: Mapping[str, Any], send: Send) -> dict[str, float]:
    """Stand in for a training of a second, and note that it began."""
    with (Path(arguments["root"]) / "begun.txt").open("a", encoding="utf-8") as stream:
        stream.write(f"{arguments['models']}\n")
    time.sleep(1)
    return trial(arguments, send)


def trial(arguments: Mapping[str, Any], send: Send) -> dict[str, float]:
    """Stand in for a training: a loss that is lowest at the dropout 0.2, and falls with each of five epochs."""
    dropout = float(arguments["config"]["model"]["dropout"])
    if dropout > 0.8:
        msg = "the disk is full"
        raise ResourceError(msg)
    score = abs(dropout - 0.2)
    for epoch in range(1, 6):
        send({"epoch": [epoch, score + 1 / epoch]})
        time.sleep(0.02)
    return {
        "validation_score": score + 0.2,
        "validation_loss": score + 0.3,
        "validation_accuracy": 1 - score,
        "epochs": 5,
        "seconds": 0.1,
    }


def is_running(process: int) -> bool:
    """Check whether a process exists."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition: Callable[[], object]) -> bool:
    """Wait up to 20 seconds."""
    for _ in range(400):
        if condition():
            return True
        time.sleep(0.05)
    return False
