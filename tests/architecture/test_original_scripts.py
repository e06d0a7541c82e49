"""The original scripts are short calls of the command line."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
SCRIPTS = [
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


def run_script(script: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROJECT / script), *arguments]
    variables = os.environ | {"PYTHONPATH": str(PROJECT / "src"), "COLUMNS": "200"}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=variables)


@pytest.mark.parametrize("script", SCRIPTS)
def test_original_scripts_are_three_lines(script: str) -> None:
    tree = ast.parse((PROJECT / script).read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    code = tree.body[1:]
    assert len(code) <= 3
    assert sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in code) <= 3
    assert "from brainslice.cli.main import main" in map(ast.unparse, code)


@pytest.mark.parametrize(("script", "options"), DOCUMENTED)
def test_original_scripts_have_their_documented_options(script: str, options: tuple[str, ...], tmp_path: Path) -> None:
    done = run_script(script, tmp_path, "--help")
    assert done.returncode == 0, done.stderr
    assert not [option for option in options if option not in done.stdout]
