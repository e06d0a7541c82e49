from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from brainslice import api, lazy
from brainslice.cli.main import main

TRIALS = [
    {"number": 0, "state": "complete", "settings": {"model.dropout": 0.1}},
    {"number": 1, "state": "complete", "settings": {"model.dropout": 0.3}},
    {"number": 2, "state": "pruned", "settings": {"model.dropout": 0.5}},
]
SCORES = {"validation_score": 0.5, "validation_accuracy": 0.9}


def run(*words: str) -> object:
    with pytest.raises(SystemExit) as ended:
        main(*words)
    return ended.value.code


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """The arguments of the sweep, which is a stand-in."""
    arguments: dict[str, Any] = {}

    def sweep(space: object, root: Path, **options: object) -> object:
        arguments.update(options, space=space, root=root)
        trials = [trial | SCORES | {"validation_score": 0.5 - 0.1 * trial["number"]} for trial in TRIALS]
        return SimpleNamespace(trials=trials, overrides=("model.dropout=0.3", "train.loss=a b"), folder=tmp_path)

    monkeypatch.setattr(api, "sweep", sweep, raising=False)
    return arguments


def test_best_trials_and_settings_are_printed(given: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--trials", "3", "--workers", "2", "--name", "one", "--set", "train.lr=0.5")
    assert run("sweep", "model.dropout=0..0.5", *words) == 0
    shown = capsys.readouterr().out
    assert given["space"] == ["model.dropout=0..0.5"]
    assert (given["trials"], given["workers"], given["name"]) == (3, 2, "one")
    assert given["config"].train.lr == 0.5
    assert shown.index("trial 1") < shown.index("trial 0")
    assert "trial 2" not in shown
    assert "3 trials: 2 complete, 1 pruned, 0 failed" in shown
    assert "best: --set model.dropout=0.3 --set 'train.loss=a b'" in shown
    assert "best.yaml" in shown


def test_space_file_is_an_alternative(given: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("sweep", "--space", "space.yaml") == 0
    assert given["space"] == Path("space.yaml")
    assert run("sweep") == 2
    assert "or a file --space, and not both" in capsys.readouterr().err


def test_missing_optuna_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(lazy, "is_installed", lambda module: module != "optuna")
    assert run("sweep", "model.dropout=0..0.5") == 2
    assert "a sweep needs optuna; install with: pip install 'brainslice[sweep]'" in capsys.readouterr().err
