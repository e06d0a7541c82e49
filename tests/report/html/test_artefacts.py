from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from brainslice.errors import DatasetError
from brainslice.report.html.artefacts import read_json, read_run, reports_folder


def test_all_artefacts_of_a_run_are_read(complete: Path) -> None:
    run = read_run(complete)
    assert run.report is not None
    assert run.other is not None
    assert (run.report["evaluation"]["protocol"], run.other["evaluation"]["protocol"]) == ("clean", "official")
    assert [each["site"] for each in run.external] == ["clinic", "clinic"]
    assert len(run.history) == 2
    assert 0 < len(run.pictures) <= min(12, len(run.errors))
    assert all((run.training, run.decision_curve, run.crossval, run.gains, run.robustness))


def test_official_results_alone_are_the_report(complete: Path, tmp_path: Path) -> None:
    shutil.copytree(complete / "official", tmp_path / "official")
    run = read_run(tmp_path)
    assert run.report is not None
    assert run.report["evaluation"]["protocol"] == "official"
    assert run.other is None


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="run brainslice evaluate"):
        read_run(tmp_path)


@pytest.mark.parametrize("text", ["{", "3"])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(DatasetError, match=r"report\.json"):
        read_json(tmp_path / "report.json")


def test_histories_of_earlier_versions_are_read(tmp_path: Path) -> None:
    (tmp_path / "training_history.json").write_text(json.dumps([{"number": 1}]))
    assert read_json(tmp_path / "training_history.json") == {"epochs": [{"number": 1}]}


def test_a_run_is_named_by_the_project_or_by_its_reports(complete: Path) -> None:
    assert reports_folder(complete.parent) == reports_folder(complete) == complete
