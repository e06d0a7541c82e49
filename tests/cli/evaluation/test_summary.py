from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from brainslice.paths import ProjectPaths
from command import WORDS, call
from stand_in import config, copy_project, write_bundle_for

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="session")
def evaluated(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = copy_project(prepared, tmp_path_factory.mktemp("summary") / "project")
    for protocol in ("clean", "official"):
        settings = config(f"data.protocol={protocol}")
        write_bundle_for(ProjectPaths.of(root, settings), settings)
        words = ("--project-root", root, *WORDS, "--protocol", protocol, "--gradcam", "0")
        assert call("evaluate", *words) == 0
    return root


@pytest.fixture
def reports(evaluated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(evaluated / "reports", tmp_path / "reports"))


@pytest.mark.usefixtures("reports")
def test_both_protocols_stand_side_by_side(tmp_path: Path, capsys: Capture) -> None:
    assert call("summary", "--project-root", tmp_path) == 0
    said = capsys.readouterr().out
    for word in ("clean", "official", "phantom", "leaky"):
        assert word in said


def test_one_missing_protocol_is_said_to_be_missing(reports: Path, tmp_path: Path, capsys: Capture) -> None:
    shutil.rmtree(reports / "official")
    assert call("summary", "--project-root", tmp_path) == 0
    assert "not run" in capsys.readouterr().out


def test_without_any_report_it_says_what_to_run(tmp_path: Path, capsys: Capture) -> None:
    assert call("summary", "--project-root", tmp_path) == 3
    assert "run brainslice train and brainslice evaluate" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{", "[1]", "{}", '"text"'])
def test_a_report_that_is_none_of_ours_is_one_line(text: str, reports: Path, tmp_path: Path, capsys: Capture) -> None:
    (reports / "report.json").write_text(text)
    assert call("summary", "--project-root", tmp_path) == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_what_was_found_at_another_site_stands_below(reports: Path, tmp_path: Path, capsys: Capture) -> None:
    score = {"value": 0.8, "interval": {"low": 0.7, "high": 0.9}}
    entry = {
        "name": "adapted_elsewhere",
        "auc": score,
        "sensitivity": score,
        "specificity": {"value": None, "interval": None},
        "false_negatives": 4,
        "false_positives": 0,
    }
    told = {"site": "elsewhere", "n": 20, "tumours": 20, "groups": 20, "warnings": ["phantom"], "entries": [entry]}
    (reports / "external").mkdir()
    (reports / "external" / "elsewhere.json").write_text(json.dumps(told))
    (reports / "external" / "elsewhere_adaptation.json").write_text(json.dumps({"site": "elsewhere"}))
    assert call("summary", "--project-root", tmp_path) == 0
    said = capsys.readouterr().out
    assert said.count("Scans of another site: elsewhere") == 1
    assert "0.800 [0.700, 0.900]" in said
    assert "adapted_elsewhere" in said
