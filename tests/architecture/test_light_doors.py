"""Doors stay light: nothing heavy is loaded before a verb begins its work."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from brainslice.cli.main import app

HEAVY = {"tensorflow", "keras", "sklearn", "matplotlib", "scipy", "pydicom", "nibabel", "pynetdicom", "requests"}
GROUPS = {str(group.name): group.typer_instance for group in app.registered_groups}
VERBS = [
    *(str(command.name) for command in app.registered_commands),
    *(f"{name} {command.name}" for name, group in GROUPS.items() for command in group.registered_commands),
]

# One process asks for every verb's help in turn and tells which libraries each of them brought in.
ASK_ALL = """
import contextlib, io, json, sys
from brainslice.cli.main import main
before, loaded = set(), {}
for verb in sys.argv[1:]:
    with contextlib.redirect_stdout(io.StringIO()) as text:
        try:
            main(*verb.split(), "--help")
        except SystemExit as end:
            assert not end.code, (verb, end.code)
    assert verb in text.getvalue(), verb
    now = {name.split(".")[0] for name in sys.modules}
    loaded[verb] = sorted(now - before)
    before = now
print(json.dumps(loaded))
"""
IMPORT = """
import json, sys
for module in sys.argv[1:]:
    __import__(module)
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


def answer(program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def loaded_by_help() -> dict[str, list[str]]:
    return dict(json.loads(answer(ASK_ALL, *VERBS)))


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_loads_nothing_heavy(verb: str, loaded_by_help: dict[str, list[str]]) -> None:
    assert not HEAVY & set(loaded_by_help[verb])


def test_every_verb_that_people_know_is_looked_at() -> None:
    assert {"run", "demo", "download", "prepare", "audit", "train", "evaluate", "predict", "serve", "summary"} <= set(
        VERBS
    )


@pytest.mark.parametrize(
    "modules",
    [
        pytest.param(("brainslice", "brainslice.config", "brainslice.labels"), id="the package"),
        pytest.param(
            ("brainslice.inference.predictor", "brainslice.inference.overlay", "brainslice.inference.volume"),
            id="what predicts",
        ),
        pytest.param(("brainslice.service.server",), id="what serves"),
        pytest.param(("brainslice.dataset.audit.audit", "brainslice.dataset.duplicates.gallery"), id="what audits"),
        pytest.param(("brainslice.dataset.preparation",), id="what prepares"),
    ],
)
def test_light_work_needs_no_heavy_library(modules: tuple[str, ...]) -> None:
    assert not HEAVY & set(json.loads(answer(IMPORT, *modules)))


def test_a_heavy_library_would_be_noticed() -> None:
    assert HEAVY & set(json.loads(answer(IMPORT, "scipy"))) == {"scipy"}
