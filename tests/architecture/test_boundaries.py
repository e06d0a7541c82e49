"""Code outside a package imports its public names from the package, never from a module inside it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PACKAGE = PROJECT / "src" / "brainslice"
PACKAGES = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
# Tests mirror the modules and import what they test.
FOLDERS = ("src", "tools", "benchmarks")
# The program's entry point, which the scripts beside the package call as `pyproject.toml` does.
ENTRY_POINT = "brainslice.cli.main"


def imports_of(path: Path, text: str) -> Iterator[tuple[str, str]]:
    """Yield the module and the name of every import from a package to which the file does not belong."""
    own = path.relative_to(PACKAGE).parts[0] if path.is_relative_to(PACKAGE) else ""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found = [(str(node.module), alias.name) for alias in node.names]
        else:
            continue
        for module, name in found:
            parts = module.split(".")
            if parts[0] == "brainslice" and len(parts) > 1 and parts[1] in PACKAGES and parts[1] != own:
                yield module, name


@cache
def public_names(package: str) -> set[str]:
    tree = ast.parse((PACKAGE / package / "__init__.py").read_text(encoding="utf-8"))
    return {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(f"brainslice.{package}.")
        for alias in node.names
    }


def is_past_the_boundary(module: str, name: str) -> bool:
    if module == ENTRY_POINT:
        return False
    _, package, *inner = module.split(".")
    return bool(inner) or (name != "" and name not in public_names(package))


@cache
def imports_below(folder: str) -> list[tuple[Path, str, str]]:
    paths = sorted((PROJECT / folder).rglob("*.py"))
    return [(path, *found) for path in paths for found in imports_of(path, path.read_text(encoding="utf-8"))]


def test_no_import_reaches_past_a_package() -> None:
    found = [
        f"{path.relative_to(PROJECT)}: {name} of {module}"
        for folder in FOLDERS
        for path, module, name in imports_below(folder)
        if is_past_the_boundary(module, name)
    ]
    assert not found


@pytest.mark.parametrize(
    "line",
    ["from brainslice.scan.read import read_scan", "from brainslice.scan import read", "import brainslice.scan.read"],
)
def test_an_import_past_a_package_is_found(line: str) -> None:
    ((module, name),) = imports_of(PACKAGE / "training" / "pipeline.py", line)
    assert is_past_the_boundary(module, name)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_used_outside_its_package(package: str) -> None:
    used = {
        name for folder in FOLDERS for _, module, name in imports_below(folder) if module == f"brainslice.{package}"
    }
    assert public_names(package) <= used
