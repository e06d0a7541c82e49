"""The original commands: there, tiny, and doors to the real command line."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
DOORS = [
    "tools/download_and_prepare_kaggle.py",
    "tools/download_navoneel.py",
    "src/train.py",
    "src/train_kfold.py",
    "src/eval.py",
    "tools/train_finetune.py",
    "tools/evaluate_external.py",
    "tools/optimize_threshold.py",
    "src/infer.py",
]
DOCUMENTED = [
    ("tools/download_and_prepare_kaggle.py", ("--project-root", "--val-size", "--use-symlinks", "--copy")),
    ("src/train.py", ("--config",)),
    ("src/train_kfold.py", ("--config", "--folds")),
    ("src/eval.py", ("--config",)),
    ("src/infer.py", ("--config", "--image", "--threshold", "--gradcam")),
    ("tools/train_finetune.py", ("--config", "--data")),
    ("tools/evaluate_external.py", ("--config", "--data")),
    ("tools/optimize_threshold.py", ("--config", "--data")),
]


def knock(door: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROJECT / door), *arguments]
    variables = os.environ | {"PYTHONPATH": str(PROJECT / "src"), "COLUMNS": "200"}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=variables)


@pytest.mark.parametrize("door", DOORS)
def test_an_original_command_is_three_lines_that_call_the_command_line(door: str) -> None:
    tree = ast.parse((PROJECT / door).read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    code = tree.body[1:]
    assert len(code) <= 3
    assert sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in code) <= 3
    assert "from brainslice.cli.main import main" in map(ast.unparse, code)


@pytest.mark.parametrize(("door", "options"), DOCUMENTED)
def test_an_original_command_knows_its_documented_options(door: str, options: tuple[str, ...], tmp_path: Path) -> None:
    done = knock(door, tmp_path, "--help")
    assert done.returncode == 0, done.stderr
    assert not [option for option in options if option not in done.stdout]
