"""The import layers of the packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LINT, "--no-cache"]
    variables = os.environ | {"PYTHONPATH": "src"}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=variables)


def test_no_package_imports_upward_or_sideways() -> None:
    done = lint_imports(PROJECT)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


@pytest.mark.parametrize(
    ("module", "line"),
    [
        pytest.param("errors.py", "from brainslice import labels", id="upward"),
        pytest.param("dataset/manifest.py", "from brainslice.decision import temperature", id="sideways"),
        pytest.param("scan/read.py", "import matplotlib", id="a heavy library in a light package"),
        pytest.param("report/__init__.py", "import keras", id="keras outside its packages"),
        pytest.param("inference/predictor.py", "import SimpleITK", id="SimpleITK outside preprocessing"),
    ],
)
def test_an_import_in_the_wrong_direction_is_caught(tmp_path: Path, module: str, line: str) -> None:
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    shutil.copytree(PROJECT / "src" / "brainslice", tmp_path / "src" / "brainslice")
    path = tmp_path / "src" / "brainslice" / module
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    done = lint_imports(tmp_path)
    assert done.returncode != 0
    assert "BROKEN" in done.stdout


def test_every_package_has_its_layer() -> None:
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    placed = {part.strip() for layer in layers for part in layer.split("|")}
    package = PROJECT / "src" / "brainslice"
    modules, folders = package.glob("*.py"), package.glob("*/__init__.py")
    names = {path.stem for path in modules} | {path.parent.name for path in folders}
    assert {f"brainslice.{name}" for name in names - {"__init__"}} <= placed
