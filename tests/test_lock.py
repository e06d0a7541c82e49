from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from brainslice.errors import UsageError
from brainslice.lock import exclusive_lock

HOLD = """
import sys, time
from pathlib import Path
from brainslice.lock import exclusive_lock
with exclusive_lock(Path(sys.argv[1]), "preparing"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_second_process_is_refused_with_the_holder(tmp_path: Path) -> None:
    lock = tmp_path / "new" / ".lock"
    said = r"new: process \d+ on \S+ is preparing since .* UTC; wait until"
    with exclusive_lock(lock, "preparing"):
        with pytest.raises(UsageError, match=said), exclusive_lock(lock, "writing"):
            pytest.fail("two held one lock")
        assert lock.exists()
    assert not lock.exists()


def test_lock_can_be_acquired_repeatedly(tmp_path: Path) -> None:
    for _ in range(3):
        with exclusive_lock(tmp_path / ".lock", "preparing"):
            pass
    assert not list(tmp_path.iterdir())


def test_lock_is_released_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), exclusive_lock(tmp_path / ".lock", "preparing"):
        raise ZeroDivisionError
    with exclusive_lock(tmp_path / ".lock", "preparing"):
        pass


def test_lock_of_a_killed_process_is_released(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, lock], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match=f"process {other.pid} on"), exclusive_lock(lock, "preparing"):
            pytest.fail("two held one lock")
        other.kill()
    assert lock.exists(), "a killed process cannot clean up"
    with exclusive_lock(lock, "preparing"):
        pass
