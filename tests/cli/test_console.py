from __future__ import annotations

import io

import pytest
from rich.console import Console

from brainslice.cli import console
from brainslice.cli.console import print_line, print_note, progress_bars, table

Capture = pytest.CaptureFixture[str]


def test_results_and_remarks_go_separate_ways(capsys: Capture) -> None:
    print_line("a result")
    print_note("a remark")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("a result\n", "a remark\n")


def test_square_brackets_mean_themselves_and_long_lines_stay_whole(capsys: Capture) -> None:
    line = "bundle [phantom, leaky]: " + "x" * 300
    print_line(line)
    print_note(line)
    said = capsys.readouterr()
    assert (said.out, said.err) == (line + "\n", line + "\n")


def test_a_table_shows_every_cell(capsys: Capture) -> None:
    table("scores", ("", "clean", "official"), [("accuracy", "0.912", "0.987"), ("ECE", "–", "0.012")])
    said = capsys.readouterr().out
    for cell in ("scores", "clean", "official", "accuracy", "0.912", "0.987", "–", "0.012"):
        assert cell in said


def test_brackets_in_a_table_mean_themselves(capsys: Capture) -> None:
    table("title [phantom]", ("", "[a]"), [("[b]", "0.9 [0.8, 1.0]")])
    said = capsys.readouterr().out
    for cell in ("title [phantom]", "[a]", "[b]", "0.9 [0.8, 1.0]"):
        assert cell in said


def test_elsewhere_than_on_a_terminal_progress_is_lines_and_not_too_many(capsys: Capture) -> None:
    with progress_bars() as progress:
        for done in range(1001):
            progress("reading", done, 1000)
        progress("nothing", 0, 0)
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert lines[0] == "reading: 0/1000"
    assert "reading: 1000/1000" in lines
    assert len(lines) == 12
    assert "\r" not in said.err
    assert "\x1b" not in said.err


def test_steps_that_take_turns_are_told_each_for_itself(capsys: Capture) -> None:
    with progress_bars() as progress:
        for done in (1, 2):
            progress("folds", done, 2)
            progress("training", 1, 1)
    assert capsys.readouterr().err.splitlines() == ["folds: 1/2", "training: 1/1", "folds: 2/2"]


def test_on_a_terminal_progress_is_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(console, "ERR", Console(file=screen, force_terminal=True, width=100))
    with progress_bars() as progress:
        progress("reading", 1, 4)
        progress("reading", 4, 4)
        progress("reading", 1, 2)
        progress("reading", 2, 2)
    assert "reading" in screen.getvalue()
    assert "4/4" in screen.getvalue()
    assert "2/2" in screen.getvalue()
