from __future__ import annotations

from pathlib import Path

import pytest

import brainslice
from brainslice.cli.errors import DEBUG
from brainslice.cli.main import main
from brainslice.dataset import preparation
from brainslice.errors import DatasetError
from command import call

Capture = pytest.CaptureFixture[str]


def raise_in_prepare(monkeypatch: pytest.MonkeyPatch, fault: BaseException) -> None:
    def prepare(*_: object) -> None:
        raise fault

    monkeypatch.setattr(preparation, "prepare_dataset", prepare)


def test_tells_its_version(capsys: Capture) -> None:
    assert call("--version") == 0
    assert capsys.readouterr().out == f"brainslice {brainslice.__version__}\n"


def test_an_unknown_verb_is_a_usage_error(capsys: Capture) -> None:
    assert call("trane") == 2
    assert "trane" in capsys.readouterr().err


def test_the_original_commands_are_not_shown(capsys: Capture) -> None:
    assert call("--help") == 0
    assert "original-" not in capsys.readouterr().out


def test_an_interrupted_verb_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    raise_in_prepare(monkeypatch, KeyboardInterrupt())
    assert call("prepare", tmp_path, "--project-root", tmp_path) == 130
    said = capsys.readouterr().err
    assert "run the same command again" in said
    assert said.count("\n") == 1


def test_debug_shows_the_fault_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(DEBUG, "")
    raise_in_prepare(monkeypatch, DatasetError("a fault"))
    assert call("prepare", tmp_path, "--project-root", tmp_path) == 3
    with pytest.raises(DatasetError, match="a fault"):
        main("--debug", "prepare", str(tmp_path), "--project-root", str(tmp_path))


def test_a_damaged_setting_on_the_command_line_is_one_line(tmp_path: Path, capsys: Capture) -> None:
    assert call("train", "--project-root", tmp_path, "--set", "train.lrr=1") == 2
    said = capsys.readouterr().err
    assert "did you mean 'lr'" in said
    assert said.count("\n") == 1
