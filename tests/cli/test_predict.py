from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from brainslice.places import Places
from command import call
from stand_in import config, copy_project, write_bundle_for

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="session")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = copy_project(prepared, tmp_path_factory.mktemp("predict") / "project")
    write_bundle_for(Places.of(root, config()), config())
    return root


@pytest.fixture
def scans(trained: Path, tmp_path: Path) -> Path:
    found = sorted((trained / "source" / "Testing" / "glioma").iterdir())[:2]
    for number, path in enumerate(found):
        folder = tmp_path / "scans" / str(number)
        folder.mkdir(parents=True)
        shutil.copy(path, folder / f"scan{path.suffix}")
    return tmp_path / "scans"


def test_one_scan_is_one_line(trained: Path, scans: Path, capsys: Capture) -> None:
    (scan,) = (scans / "0").iterdir()
    assert call("predict", scan, "--project-root", trained) == 0
    said = capsys.readouterr()
    assert said.out.count("\n") == 1
    assert said.out.startswith(f"{scan}: ")
    assert "[phantom]" in said.out
    assert "at 0.4" in said.out
    assert "research only" in said.err


def test_json_is_an_object_a_line_and_nothing_else(trained: Path, scans: Path, capsys: Capture) -> None:
    assert call("predict", scans, "--project-root", trained, "--json") == 0
    said = capsys.readouterr()
    answers = [json.loads(line) for line in said.out.splitlines()]
    assert [sum(answer["probabilities"].values()) for answer in answers] == [pytest.approx(1)] * 2
    assert "research only" not in said.err


def test_the_threshold_decides_what_is_called_a_tumour(trained: Path, scans: Path, capsys: Capture) -> None:
    for threshold, expected in (("0", True), ("1", False)):
        words = ("--bundle", trained / "models" / "bundle", "--threshold", threshold, "--json")
        assert call("predict", scans, *words) == 0
        assert [json.loads(line)["tumour"] for line in capsys.readouterr().out.splitlines()] == [expected] * 2


def test_a_file_that_cannot_be_read_does_not_stop_the_rest(trained: Path, scans: Path, capsys: Capture) -> None:
    (scans / "broken.png").write_bytes(b"no picture")
    assert call("predict", scans, "--project-root", trained) == 3
    said = capsys.readouterr()
    assert said.out.count("P(tumour)") == 2
    assert "broken.png" in said.err
    assert said.err.endswith("1 of 3 files could not be read; all others were predicted\n")


def test_scans_of_one_name_in_two_folders_keep_an_overlay_each(trained: Path, scans: Path, tmp_path: Path) -> None:
    assert call("predict", scans, "--project-root", trained, "--gradcam", tmp_path / "overlays") == 0
    assert len(list((tmp_path / "overlays").iterdir())) == 2


def test_a_folder_without_scans_says_what_it_looked_for(trained: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    assert call("predict", tmp_path, "--project-root", trained) == 2
    assert ".png" in capsys.readouterr().err


def test_a_threshold_that_is_no_probability_is_refused(trained: Path, scans: Path) -> None:
    assert call("predict", scans, "--project-root", trained, "--threshold", "1.5") == 2


def test_without_a_bundle_it_ends_as_the_error_tree_says(scans: Path, tmp_path: Path) -> None:
    assert call("predict", scans, "--project-root", tmp_path) == 4
