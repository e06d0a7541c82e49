from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from brainslice.cli import console
from brainslice.cli.console import print_fields, print_json, print_line, print_note, print_table, progress_bars

Capture = pytest.CaptureFixture[str]


def terminals(
    monkeypatch: pytest.MonkeyPatch, width: int = 100, *, redirected: bool = False
) -> tuple[io.StringIO, io.StringIO]:
    """Replace the consoles of results (unless redirected) and of notes by terminals; gives what they print."""
    screens = io.StringIO(), io.StringIO()
    results, notes = (Console(file=file, force_terminal=True, width=width, highlight=False) for file in screens)
    shown = {False: console.console() if redirected else results, True: notes}
    monkeypatch.setattr(console, "console", lambda *, stderr=False: shown[stderr])
    return screens


def test_results_and_notes_use_separate_streams(capsys: Capture) -> None:
    print_line("a result")
    print_note("a remark")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("a result\n", "a remark\n")


def test_lines_have_no_markup_and_no_wrapping(capsys: Capture) -> None:
    line = "bundle [phantom, leaky]: " + "x" * 300
    print_line(line)
    print_note(line)
    said = capsys.readouterr()
    assert (said.out, said.err) == (line + "\n", line + "\n")


def test_a_table_shows_every_cell(capsys: Capture) -> None:
    print_table("scores", ("", "clean", "official"), [("accuracy", "0.912", "0.987"), ("ECE", "–", "0.012")])
    said = capsys.readouterr().out
    for cell in ("scores", "clean", "official", "accuracy", "0.912", "0.987", "–", "0.012"):
        assert cell in said


def test_table_cells_have_no_markup(capsys: Capture) -> None:
    print_table("title [phantom]", ("", "[a]"), [("[b]", "0.9 [0.8, 1.0]")])
    said = capsys.readouterr().out
    for cell in ("title [phantom]", "[a]", "[b]", "0.9 [0.8, 1.0]"):
        assert cell in said


def test_progress_lines_without_a_terminal(capsys: Capture) -> None:
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


def test_alternating_steps_have_separate_progress(capsys: Capture) -> None:
    with progress_bars() as progress:
        for done in (1, 2):
            progress("folds", done, 2)
            progress("training", 1, 1)
    assert capsys.readouterr().err.splitlines() == ["folds: 1/2", "training: 1/1", "folds: 2/2"]


def test_progress_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminals(monkeypatch)[1]
    with progress_bars() as progress:
        progress("reading", 1, 4)
        progress("reading", 4, 4)
        progress("reading", 1, 2)
        progress("reading", 2, 2)
    assert "reading" in screen.getvalue()
    assert "4/4" in screen.getvalue()
    assert "2/2" in screen.getvalue()


def test_redirected_results_stay_out_of_the_terminal(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    screen = terminals(monkeypatch, redirected=True)[1]
    with progress_bars() as progress:
        progress("reading", 1, 2)
        print_json("prediction", {"class": None})
        print_line("a result")
    first, second = capsys.readouterr().out.splitlines()
    assert list(json.loads(first).items()) == [("schema", "brainslice/prediction/1"), ("class", None)]
    assert second == "a result"
    assert "a result" not in screen.getvalue()


def test_on_a_terminal_results_are_printed_above_the_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    results, bars = terminals(monkeypatch)
    with progress_bars() as progress:
        progress("reading", 1, 2)
        print_line("a result")
    print_line("a later one")
    assert "a result" in bars.getvalue()
    assert "a later one" in results.getvalue()
    assert "a result" not in results.getvalue()


def test_narrow_tables_are_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminals(monkeypatch, width=60)[0]
    print_table("scores", ("", "clean", "official"), [("accuracy", "0.912", "0.987")])
    lines = screen.getvalue().splitlines()
    assert lines[2:] == ["  clean     0.912", "  official  0.987"]


def test_fields_are_aligned_without_emoji(capsys: Capture) -> None:
    print_fields("tumour", [("scan", ":smile:.png"), ("P(tumour)", "0.9")])
    assert capsys.readouterr().out.splitlines() == ["tumour", "  scan       :smile:.png", "  P(tumour)  0.9"]
