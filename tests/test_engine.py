from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from brainslice.engine import open_group, ray_cluster, run_all
from brainslice.errors import ConfigError, ResourceError, UsageError, WorkerDiedError
from brainslice.processes import Call, show_progress
from process_calls import is_running, wait_until
from ray_nodes import ray_nodes

CALLER = """
import sys
from brainslice.engine import run_all
from brainslice.processes import Call
run_all([Call("process_calls:wait", {"file": sys.argv[1]}, "waiting")], 1, lambda *_: None)
"""


def ignore(_call: Call, _message: Mapping[str, Any]) -> None:
    """Take no notice of messages."""


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


def test_unknown_engine_is_refused() -> None:
    with pytest.raises(UsageError, match="the engine must be local or ray, got 'spark'"):
        run_all([Call("process_calls:add", {}, "sum")], 1, ignore, "spark")
    with pytest.raises(UsageError, match="the engine ray needs at least one worker; give --workers N"):
        run_all([], 0, ignore, "ray")


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        ("127.0.0.1:1", UsageError, "RAY_ADDRESS=127.0.0.1:1: the cluster cannot be joined .*refused.*"),
        (
            "auto",
            UsageError,
            "RAY_ADDRESS=auto: the cluster cannot be joined .no such cluster.; start it, or unset RAY_ADDRESS",
        ),
        (
            "",
            ResourceError,
            "Ray cannot be started on this machine .no such cluster.; use --engine local, or try again",
        ),
    ],
)
def test_ray_that_cannot_be_reached_is_a_line(
    address: str, error: type[Exception], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def init(**_: object) -> None:
        msg = "no such cluster\ndetails"
        raise ConnectionError(msg)

    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setattr("brainslice.lazy.is_installed", lambda _: True)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: False, init=init))
    with pytest.raises(error, match=f"^{said}$"):
        run_all([Call("process_calls:add", {}, "sum")], 1, ignore, "ray")


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start Ray once for several groups; its workers import modules of the tests."""
    pytest.importorskip("ray", reason="needs the extra brainslice[ray]")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    with ray_cluster(2):
        yield


@pytest.mark.slow_only
@pytest.mark.usefixtures("ray")
def test_ray_tasks_do_what_processes_do(tmp_path: Path) -> None:
    calls = [Call("process_calls:add", {"a": number, "b": 1}, f"sum {number}") for number in range(3)]
    shown: list[tuple[str, int, int]] = []
    results = run_all(
        calls, 2, lambda call, message: show_progress(lambda *each: shown.append(each), call, message), "ray"
    )
    assert [result["sum"] for result in results] == [1, 2, 3]
    assert len({os.getpid(), *(result["process"] for result in results)}) == 4
    assert sorted(shown) == [(f"sum {number}: adding", 1, 1) for number in range(3)]
    with pytest.raises(ConfigError, match="lr must be > 0"):
        run_all([Call("process_calls:refuse", {}, "fold 1")], 1, ignore, "ray")
    for function, said in (("crash", "ValueError: a library failed"), ("be_killed", ".*")):
        with pytest.raises(WorkerDiedError, match=f"fold 1: its Ray task ended .*{said}; run the same command again"):
            run_all([Call(f"process_calls:{function}", {}, "fold 1")], 1, ignore, "ray")
    call = Call("process_calls:resume", {"file": str(tmp_path / "begun")}, "fold 1")
    assert run_all([call], 1, ignore, "ray") == ["resumed"]


@pytest.mark.slow_only
def test_ray_is_started_here_unless_its_address_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with ray_nodes(1) as address:
        with ray_cluster(1) as ray:
            assert ray.get_runtime_context().gcs_address == address
        # Set back before the nodes are gone.
        with monkeypatch.context() as patch:
            patch.delenv("RAY_ADDRESS")
            with ray_cluster(3) as ray:
                assert ray.get_runtime_context().gcs_address != address
                assert ray.cluster_resources()["CPU"] == 3


@pytest.mark.slow_only
@pytest.mark.usefixtures("ray")
def test_listener_ends_a_ray_task(tmp_path: Path) -> None:
    file = tmp_path / "process"
    with open_group("ray", 1) as group:
        call = Call("process_calls:wait", {"file": str(file)}, "waiting")
        assert group.run(call, lambda message: message["number"] < 3) is None
        assert wait_until(lambda: not is_running(int(file.read_text())))
        file.unlink()
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(group.run, call, lambda _: True)
            assert wait_until(file.exists)
            group.close()
            with pytest.raises(WorkerDiedError):
                running.result()
    assert wait_until(lambda: not is_running(int(file.read_text())))
