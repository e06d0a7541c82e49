from __future__ import annotations

from pathlib import Path

import kagglehub
import pytest

from command import call

Capture = pytest.CaptureFixture[str]


def test_without_a_network_one_line_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    def offline(_: str) -> str:
        msg = "Failed to resolve 'www.kaggle.com'"
        raise ConnectionError(msg)

    monkeypatch.setattr(kagglehub, "dataset_download", offline)
    assert call("download", "nickparvar", "--project-root", tmp_path) == 7
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("brainslice: nickparvar: ")
    assert "by hand" in last


@pytest.mark.parametrize(("name", "verb"), [("nickparvar", "prepare "), ("navoneel", "prepare --external ")])
def test_what_was_fetched_is_shown_with_the_next_step(
    name: str, verb: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "fetched").mkdir()
    monkeypatch.setattr(kagglehub, "dataset_download", lambda _: str(tmp_path / "fetched"))
    assert call("download", name, "--project-root", tmp_path) == 0
    assert f"next: brainslice {verb}{tmp_path / 'downloads' / name}" in capsys.readouterr().out


def test_a_set_nobody_knows_is_refused_with_those_there_are(tmp_path: Path, capsys: Capture) -> None:
    assert call("download", "mnist", "--project-root", tmp_path) == 2
    assert "nickparvar" in capsys.readouterr().err
