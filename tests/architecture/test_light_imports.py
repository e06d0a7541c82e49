"""Help and light commands import no heavy library."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from brainslice.cli.main import app

HEAVY = {"tensorflow", "keras", "sklearn", "matplotlib", "scipy", "pydicom", "nibabel", "pynetdicom", "requests"}
HEAVY |= {"SimpleITK", "cv2"}
GROUPS = {str(group.name): group.typer_instance for group in app.registered_groups}
COMMANDS = [
    *(str(command.name) for command in app.registered_commands),
    *(f"{name} {command.name}" for name, group in GROUPS.items() for command in group.registered_commands),
]

# Show the help of every command in one process, and print the libraries that each imported.
HELP_OF_ALL = """
import contextlib, io, json, sys
from brainslice.cli.main import main
before, loaded = set(), {}
for command in sys.argv[1:]:
    with contextlib.redirect_stdout(io.StringIO()) as text:
        try:
            main(*command.split(), "--help")
        except SystemExit as end:
            assert not end.code, (command, end.code)
    assert command in text.getvalue(), command
    now = {name.split(".")[0] for name in sys.modules}
    loaded[command] = sorted(now - before)
    before = now
print(json.dumps(loaded))
"""
IMPORT = """
import json, sys
for module in sys.argv[1:]:
    __import__(module)
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


def output_of(program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def loaded_by_help() -> dict[str, list[str]]:
    return dict(json.loads(output_of(HELP_OF_ALL, *COMMANDS)))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_loads_no_heavy_library(command: str, loaded_by_help: dict[str, list[str]]) -> None:
    assert not HEAVY & set(loaded_by_help[command])


def test_main_commands_are_checked() -> None:
    assert {"run", "demo", "download", "prepare", "audit", "train", "evaluate", "predict", "serve", "summary"} <= set(
        COMMANDS
    )


@pytest.mark.parametrize(
    "modules",
    [
        pytest.param(("brainslice", "brainslice.config", "brainslice.labels"), id="the package"),
        pytest.param(
            ("brainslice.inference.predictor", "brainslice.inference.overlay", "brainslice.inference.volume"),
            id="prediction",
        ),
        pytest.param(("brainslice.service.server",), id="service"),
        pytest.param(("brainslice.dataset.audit.audit", "brainslice.dataset.duplicates.gallery"), id="audit"),
        pytest.param(("brainslice.dataset.preparation",), id="preparation"),
    ],
)
def test_light_modules_load_no_heavy_library(modules: tuple[str, ...]) -> None:
    assert not HEAVY & set(json.loads(output_of(IMPORT, *modules)))


def test_heavy_imports_are_detected() -> None:
    assert HEAVY & set(json.loads(output_of(IMPORT, "scipy"))) == {"scipy"}
