from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from brainslice.errors import ConfigError, WorkerDiedError
from brainslice.processes import Call, ProcessGroup, run_all, show_progress

CALLER = """
import sys
from brainslice.processes import Call, run_all
run_all([Call("process_calls:wait", {"file": sys.argv[1]}, "waiting")], 1, lambda *_: None)
"""


def ignore(_call: Call, _message: Mapping[str, Any]) -> None:
    """Take no notice of messages."""


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition: Callable[[], object]) -> bool:
    for _ in range(400):
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("workers", [1, 2])
def test_results_keep_their_order_and_come_from_other_processes(workers: int) -> None:
    calls = [Call("process_calls:add", {"a": number, "b": 1}, f"sum {number}") for number in range(3)]
    shown: list[tuple[str, int, int]] = []
    results = run_all(
        calls, workers, lambda call, message: show_progress(lambda *each: shown.append(each), call, message)
    )
    assert [result["sum"] for result in results] == [1, 2, 3]
    assert len({os.getpid(), *(result["process"] for result in results)}) == 4
    assert sorted(shown) == [(f"sum {number}: adding", 1, 1) for number in range(3)]


def test_errors_of_the_package_are_raised_here() -> None:
    with pytest.raises(ConfigError, match="lr must be > 0"):
        run_all([Call("process_calls:refuse", {}, "fold 1")], 1, ignore)


@pytest.mark.parametrize(
    ("function", "said"), [("crash", r"fold 1: .*a library failed"), ("be_killed", r"fold 1: .*signal 9.*run the same")]
)
def test_dead_process_is_named_after_the_others_finished(function: str, said: str) -> None:
    calls = [Call(f"process_calls:{function}", {}, "fold 1"), Call("process_calls:add", {"a": 1, "b": 1}, "fold 2")]
    heard: list[str] = []
    with pytest.raises(WorkerDiedError, match=said):
        run_all(calls, 1, lambda call, _: heard.append(call.name))
    assert heard == ["fold 2"]


def test_listener_ends_a_process(tmp_path: Path) -> None:
    file = tmp_path / "process"
    with closing(ProcessGroup()) as group:
        call = Call("process_calls:wait", {"file": str(file)}, "waiting")
        assert group.run(call, lambda message: message["number"] < 3) is None
    assert not is_running(int(file.read_text()))


@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed with a POSIX signal")
def test_process_ends_with_a_killed_caller(tmp_path: Path) -> None:
    file = tmp_path / "process"
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, "-c", CALLER, str(file)], env=variables) as caller:
        assert wait_until(lambda: file.exists() and file.read_text())
        caller.kill()
    assert wait_until(lambda: not is_running(int(file.read_text())))


def test_killed_process_is_started_once_more(tmp_path: Path) -> None:
    call = Call("process_calls:resume", {"file": str(tmp_path / "begun")}, "fold 1")
    assert run_all([call], 1, ignore) == ["resumed"]
