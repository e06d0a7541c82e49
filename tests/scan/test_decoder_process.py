from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import decoder_jobs
from brainslice.errors import ResourceError, UnreadableScanError
from brainslice.scan import decoder_process
from brainslice.scan.decoder_process import decode_isolated
from brainslice.scan.input_problem import InputProblem, InputProblemError


@pytest.fixture(autouse=True)
def no_idle_processes() -> Iterator[None]:
    decoder_process._POOL.close()
    yield
    decoder_process._POOL.close()


def test_values_come_one_by_one_from_another_process_which_is_used_again() -> None:
    (first,), (second,) = (list(decode_isolated(decoder_jobs.process_id, b"")) for _ in range(2))
    assert first == second != os.getpid()
    assert list(decode_isolated(decoder_jobs.each_byte, b"abc", 1)) == [98, 99, 100]


def test_errors_cross_the_process_border_unchanged() -> None:
    with pytest.raises(InputProblemError, match="fault; remedy") as caught:
        list(decode_isolated(decoder_jobs.refuse, b""))
    assert (caught.value.code, caught.value.details) == (InputProblem.SEVERAL_FRAMES, {"frames": 2})


@pytest.mark.parametrize("job", [decoder_jobs.crash, decoder_jobs.loop, decoder_jobs.panic, decoder_jobs.exit_early])
def test_a_decoder_that_crashes_loops_or_panics_raises_one_error(job: decoder_jobs.Job) -> None:
    with pytest.raises(UnreadableScanError) as caught:
        list(decode_isolated(job, b""))
    assert "; " in str(caught.value)
    assert list(decode_isolated(decoder_jobs.each_byte, b"a", 0)) == [97]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")
def test_a_decoder_beyond_the_memory_limit_raises_one_error() -> None:
    with pytest.raises(UnreadableScanError, match="more memory"):
        list(decode_isolated(decoder_jobs.allocate, b""))


def test_a_decoder_that_waits_for_ever_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder_process, "_SECONDS_PER_CPU_SECOND", 1.0)
    with pytest.raises(UnreadableScanError, match="took too much time"):
        list(decode_isolated(decoder_jobs.sleep, b""))


def test_unread_replies_do_not_answer_the_next_request() -> None:
    unfinished = decode_isolated(decoder_jobs.each_byte, b"abc", 0)
    assert next(unfinished) == 97
    del unfinished
    assert list(decode_isolated(decoder_jobs.each_byte, b"x", 0)) == [120]


def test_threads_have_a_process_each() -> None:
    found: list[int] = []
    barrier = threading.Barrier(2)

    def work() -> None:
        job = decode_isolated(decoder_jobs.process_id, b"")
        found.append(next(job))
        barrier.wait(60)
        list(job)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 2


def test_failing_to_start_a_process_is_a_resource_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(ResourceError, match="cannot be started"):
        list(decode_isolated(decoder_jobs.process_id, b""))


@pytest.mark.skipif(sys.platform == "win32", reason="asks the system for a process by its number")
def test_the_process_ends_with_the_program() -> None:
    script = "import decoder_jobs as jobs; from brainslice.scan.decoder_process import decode_isolated as run; "
    script += "print(*run(jobs.process_id, b''), flush=True); import os; os._exit(0)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=environment)
    assert any(not is_running(int(done.stdout)) for _ in range(100))


def is_running(process: int) -> bool:
    time.sleep(0.1)
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
