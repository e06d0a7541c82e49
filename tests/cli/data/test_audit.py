from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from command import call

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared / "source", tmp_path / "folder"))


def test_tells_what_it_found_in_lines(folder: Path, capsys: Capture) -> None:
    assert call("audit", folder) == 0
    assert len(capsys.readouterr().out.splitlines()) > 3


def test_json_is_all_there_is_on_the_output(folder: Path, capsys: Capture) -> None:
    assert call("audit", folder, "--json") == 0
    assert isinstance(json.loads(capsys.readouterr().out), dict)


def test_pairs_can_be_drawn(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    assert call("audit", folder, "--gallery", tmp_path / "pairs.png") == 0
    assert (tmp_path / "pairs.png").stat().st_size > 0
    assert "pairs.png" in capsys.readouterr().err


def test_another_folder_can_be_compared(folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(folder / "Testing", tmp_path / "other"))
    assert call("audit", folder, "--against", other) == 0


def test_unreadable_files_are_counted_after_the_rest_was_audited(folder: Path, capsys: Capture) -> None:
    (folder / "Training" / "glioma" / "broken.png").write_bytes(b"no picture")
    assert call("audit", folder) == 3
    said = capsys.readouterr()
    assert len(said.out.splitlines()) > 3
    assert said.err.endswith("1 files could not be read; all others were audited\n")


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path, capsys: Capture) -> None:
    assert call("audit", tmp_path / "absent") == 3
    assert capsys.readouterr().err.splitlines()[-1].startswith("brainslice: ")
