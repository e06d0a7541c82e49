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
NOT_THERE_YET = {"tools/train_finetune.py", "tools/evaluate_external.py", "tools/optimize_threshold.py"}
DOCUMENTED = [
    ("tools/download_and_prepare_kaggle.py", ("--project-root", "--val-size", "--use-symlinks", "--copy")),
    ("src/train.py", ("--config",)),
    ("src/train_kfold.py", ("--config", "--folds")),
    ("src/eval.py", ("--config",)),
    ("src/infer.py", ("--config", "--image", "--threshold", "--gradcam")),
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


@pytest.mark.parametrize("door", sorted(NOT_THERE_YET))
def test_what_is_not_there_yet_says_so_in_one_line(door: str, tmp_path: Path) -> None:
    done = knock(door, tmp_path, "--config", "configs/config.yaml", "--data", "data/external_navoneel")
    assert done.returncode == 2
    assert "not there yet" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
