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


WRONG = {
    "upward": ("errors.py", "from brainslice import labels", "brainslice.labels"),
    "sideways": (
        "dataset/manifest.py",
        "from brainslice.decision import temperature",
        "brainslice.decision.temperature",
    ),
    "a heavy library in a light package": ("scan/read.py", "import matplotlib", "matplotlib"),
    "keras outside its packages": ("report/__init__.py", "import keras", "keras"),
    "SimpleITK outside preprocessing": ("inference/predictor.py", "import SimpleITK", "SimpleITK"),
}


@pytest.fixture(scope="module")
def found_wrong(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What is printed about a package with all of these imports."""
    folder = tmp_path_factory.mktemp("wrong")
    shutil.copy(PROJECT / "pyproject.toml", folder)
    shutil.copytree(PROJECT / "src" / "brainslice", folder / "src" / "brainslice")
    for module, line, _ in WRONG.values():
        with (folder / "src" / "brainslice" / module).open("a", encoding="utf-8") as stream:
            stream.write(f"\n{line}\n")
    done = lint_imports(folder)
    assert done.returncode != 0
    return done.stdout


@pytest.mark.parametrize("wrong", WRONG)
def test_an_import_in_the_wrong_direction_is_caught(found_wrong: str, wrong: str) -> None:
    module, _, imported = WRONG[wrong]
    name = ".".join(["brainslice", *Path(module).with_suffix("").parts]).removesuffix(".__init__")
    _, broken = found_wrong.split("Broken contracts")
    assert f"- {name} -> {imported} " in " ".join(broken.split()) + " "


def test_every_package_has_its_layer() -> None:
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    placed = {part.strip() for layer in layers for part in layer.split("|")}
    package = PROJECT / "src" / "brainslice"
    modules, folders = package.glob("*.py"), package.glob("*/__init__.py")
    names = {path.stem for path in modules} | {path.parent.name for path in folders}
    assert {f"brainslice.{name}" for name in names - {"__init__"}} <= placed
