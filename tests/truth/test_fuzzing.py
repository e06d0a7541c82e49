"""Coverage-guided fuzzing of every reader; ``tests/fuzz_readers.py`` does it for longer."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import brainslice
from scan_formats import FORMATS

PROGRAM = Path(__file__).parents[1] / "fuzz_readers.py"
SECONDS = 30

pytestmark = [
    pytest.mark.slow_only,
    pytest.mark.skipif(
        importlib.util.find_spec("atheris") is None, reason="needs atheris, which has Linux wheels only"
    ),
]


@pytest.mark.parametrize("name", FORMATS)
def test_inputs_that_reach_new_code_give_a_scan_or_one_refusal(name: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(brainslice.__file__).parents[1])}
    words = [sys.executable, str(PROGRAM), name, "--seconds", str(SECONDS), "--output", str(tmp_path / "fuzzed")]
    done = subprocess.run(words, check=False, env=environment, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert list((tmp_path / "fuzzed").iterdir()) == []
    executed = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
    assert executed is not None
    sys.stdout.write(f"{name}: {executed[1]} inputs in {SECONDS} s\n")
