from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from brainslice.cli.training import demo
from command import call

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    found: dict[str, Any] = {}
    monkeypatch.setattr(demo, "run", lambda **words: found.update(words))
    return found


def test_draws_heads_marked_phantom_and_runs_everything_on_them(
    asked: dict[str, Any], tmp_path: Path, capsys: Capture
) -> None:
    assert call("demo", "--project-root", tmp_path, "--patients", "10", "--seed", "5") == 0
    assert json.loads((asked["source"] / "dataset.json").read_text()) == {"name": "phantom"}
    assert (asked["root"], asked["seed"]) == (tmp_path, 5)
    assert "model.weights=shipped" in asked["overrides"]
    assert {folder.name for folder in asked["external"].iterdir()} == {"yes", "no"}
    assert "phantoms" in capsys.readouterr().err


def test_too_few_patients_are_refused(asked: dict[str, Any], tmp_path: Path) -> None:
    assert call("demo", "--project-root", tmp_path, "--patients", "3") == 2
    assert not asked
