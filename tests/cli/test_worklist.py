from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from brainslice.paths import ProjectPaths
from command import call
from stand_in import config, copy_project, guarded, write_bundle_for

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="session")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = copy_project(prepared, tmp_path_factory.mktemp("triage") / "project")
    guarded(write_bundle_for(ProjectPaths.of(root, config()), config()))
    return root


@pytest.fixture(scope="session")
def scans(trained: Path) -> Path:
    return trained / "source" / "Testing"


def test_worklist_prints_a_line_for_each_scan(trained: Path, scans: Path, capsys: Capture) -> None:
    assert call("worklist", scans, "--project-root", trained, "--review-budget", "0.5") == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    marked = sum(line.startswith("review") for line in lines)
    assert marked == -(-len(lines) // 2)
    assert f"{marked} of {len(lines)} scans are marked for review by a person" in said.err
    assert "research only" in said.err
    assert all("tumour" in line or "refer" in line for line in lines)


def test_worklist_json_is_sorted(trained: Path, scans: Path, capsys: Capture) -> None:
    assert call("worklist", scans, "--project-root", trained, "--json") == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [case["doubt"] for case in told] == sorted((case["doubt"] for case in told), reverse=True)
    assert told[0]["review"]
    assert told[0].keys() >= {"path", "verdict", "reasons", "prediction_set", "ood_score"}


def test_worklist_csv(trained: Path, scans: Path, capsys: Capture) -> None:
    assert call("worklist", scans, "--project-root", trained, "--json") == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert call("worklist", scans, "--project-root", trained, "--csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["path"] for row in rows] == [case["path"] for case in told]
    assert [row["review"] for row in rows] == [str(case["review"]) for case in told]
    assert [row["verdict"] for row in rows] == [case["verdict"] for case in told]


def test_worklist_lists_unreadable_files_first(trained: Path, scans: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    assert call("worklist", scans / "glioma", tmp_path / "broken.png", "--project-root", trained) == 3
    said = capsys.readouterr()
    assert said.out.startswith("review  unread")
    assert "1 of" in said.err


def test_worklist_counts_referrals_beyond_the_budget(trained: Path, scans: Path, capsys: Capture) -> None:
    assert call("worklist", scans, "--project-root", trained, "--review-budget", "0") == 0
    said = capsys.readouterr()
    referred = sum("  refer  " in line for line in said.out.splitlines())
    assert referred > 0
    assert f"{referred} more are referred" in said.err


def test_worklist_json_and_csv_exclude_each_other(trained: Path, scans: Path, capsys: Capture) -> None:
    assert call("worklist", scans, "--project-root", trained, "--json", "--csv") == 2
    assert "give one of them" in capsys.readouterr().err
