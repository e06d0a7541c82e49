from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from brainslice.cli import verify as verify_module
from brainslice.cli.main import command_line
from brainslice.report.claims import read_results
from command import call

PROJECT = Path(__file__).resolve().parents[2]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "results").mkdir()
    results = {"title": "A table", "command": ["# a note", "brainslice --version"], "figures": {"accuracy": 0.9}}
    (tmp_path / "results" / "table.json").write_text(json.dumps(results), encoding="utf-8")
    (tmp_path / "README.md").write_text("Accuracy <!--=table.accuracy-->0.900<!--/-->.\n", encoding="utf-8")
    return tmp_path


def test_documents_that_agree_are_counted(checkout: Path, capsys: Capture) -> None:
    assert call("verify", "--project-root", checkout) == 0
    assert "1 figures in documents agree" in capsys.readouterr().out


def test_a_planted_error_ends_with_exit_code_3(checkout: Path, capsys: Capture) -> None:
    (checkout / "README.md").write_text("Accuracy <!--=table.accuracy-->0.990<!--/-->.\n", encoding="utf-8")
    assert call("verify", "--project-root", checkout) == 3
    printed = capsys.readouterr()
    assert "README.md:1: table.accuracy is 0.990, but results/table.json has 0.900" in printed.out
    assert "1 figures in documents differ" in printed.err


def test_reproduce_lists_tables_prints_commands_and_runs_them(
    checkout: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("reproduce", "--project-root", checkout) == 0
    assert capsys.readouterr().out == "table: A table\n"
    assert call("reproduce", "table", "--project-root", checkout) == 0
    assert capsys.readouterr().out == "# a note\nbrainslice --version\n"
    ran: list[list[str]] = []

    class Finished:
        returncode = 4

    def run(command: list[str], *, check: bool) -> Finished:
        assert not check
        ran.append(command[1:])
        return Finished()

    monkeypatch.setattr(verify_module.subprocess, "run", run)
    assert call("reproduce", "table", "--project-root", checkout, "--run") == 4
    assert ran == [["-m", "brainslice.cli.main", "--version"]]


def test_an_unknown_table_is_refused_with_the_names_of_the_others(checkout: Path, capsys: Capture) -> None:
    assert call("reproduce", "chair", "--project-root", checkout) == 2
    assert "choose one of table" in capsys.readouterr().err


def test_the_commands_of_the_results_files_exist() -> None:
    commands = command_line().commands
    lines = [line for results in read_results(PROJECT).values() for line in results.command]
    for program, verb, *words in (shlex.split(line) for line in lines if not line.startswith("#")):
        assert program == "brainslice"
        known = {option for parameter in commands[verb].params for option in parameter.opts}
        assert not [word for word in words if word.startswith("--") and word not in known]
