"""Coverage-guided fuzzing of every reader; ``tests/fuzz_readers.py`` does it for longer."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

import brainslice
from scan_formats import FORMATS

PROGRAM = Path(__file__).parents[1] / "fuzz_readers.py"
SECONDS = 30


@pytest.mark.slow_only
@pytest.mark.timeout(3600)
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="needs atheris, which has Linux wheels only")
def test_inputs_that_reach_new_code_give_a_scan_or_one_refusal(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(brainslice.__file__).parents[1])}
    words = [sys.executable, str(PROGRAM), "--seconds", str(SECONDS), "--output", str(tmp_path)]
    done = subprocess.run(words, check=False, env=environment, capture_output=True, text=True, errors="replace")
    sys.stdout.write(done.stdout)
    assert done.returncode == 0, done.stderr[-4000:]
    assert len(done.stdout.splitlines()) == len(FORMATS)
    assert {path.suffix for path in tmp_path.iterdir()} == {".log"}
