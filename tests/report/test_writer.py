from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from brainslice.evaluation.error_analysis import analyse_errors
from brainslice.evaluation.explanation import Explained, MaskShare
from brainslice.evaluation.scoring import ScoredTestSet, evaluate_test_set
from brainslice.paths import ProjectPaths
from brainslice.report.documents import protocol_table
from brainslice.report.writer import build_report, write_reports
from stand_in import config, prepare_project, write_bundle_for

FIGURES = ("cm", "cm_norm", "roc_curves", "pr_curves", "reliability_diagram", "confidence_hist", "risk_coverage")
DOCUMENTS = {
    "calibration_metrics.json",
    "classification_report.txt",
    "model_card.md",
    "report.json",
    "summary.json",
}
EXPLAINED = Explained(("01.png",), MaskShare(0.4, 0.1, None, 3, 2))


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> ScoredTestSet:
    """A stand-in for a trained model, judged on drawn heads."""
    root = prepare_project(tmp_path_factory.mktemp("project"))
    settings = config()
    places = ProjectPaths.of(root, settings)
    write_bundle_for(places, settings)
    return evaluate_test_set(places, settings)


@pytest.fixture(scope="module")
def written(judged: ScoredTestSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its reports, for reading only."""
    folder = tmp_path_factory.mktemp("reports")
    write_reports(judged, EXPLAINED, folder)
    return folder


def test_every_promised_file_is_written(written: Path) -> None:
    pictures = {f"{figure}.{kind}" for figure in FIGURES for kind in ("png", "svg")}
    assert {path.name for path in written.iterdir()} == pictures | DOCUMENTS


def test_the_model_card_beside_the_reports_tells_the_test_figures(judged: ScoredTestSet, written: Path) -> None:
    card = (written / "model_card.md").read_text(encoding="utf-8")
    assert f"accuracy: {judged.evaluation.score('accuracy').text.split()[0]}" in card
    assert "test scans opened once" in card


def test_two_writings_differ_in_their_time_alone(judged: ScoredTestSet, written: Path, tmp_path: Path) -> None:
    write_reports(judged, EXPLAINED, tmp_path)
    for path in written.iterdir():
        pair = [(folder / path.name).read_bytes() for folder in (written, tmp_path)]
        if path.name == "report.json":
            told = [json.loads(text) for text in pair]
            assert all(report.pop("timestamps") for report in told)
            pair = [json.dumps(report).encode() for report in told]
        assert pair[0] == pair[1], path.name


def test_the_report_tells_model_evaluation_explanation_and_openings(judged: ScoredTestSet) -> None:
    told = build_report(judged, EXPLAINED, datetime(2025, 1, 1, tzinfo=UTC))
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["test_openings"] == 1
    assert told["evaluation"] == judged.evaluation.to_json()
    assert told["evaluation"]["warnings"] == ["phantom"]
    assert told["model"]["provenance"]["protocol"] == "clean"
    assert told["explanation"]["on_tumours"]["share_on_mask"] == 0.4
    assert told["timestamps"]["report_written"].startswith("2025-01-01")


def test_the_report_can_be_laid_beside_another(judged: ScoredTestSet) -> None:
    told = build_report(judged, Explained((), None), datetime(2025, 1, 1, tzinfo=UTC))
    table = protocol_table(told, None)
    assert "phantom" in table.text
    assert told["explanation"]["on_tumours"] is None


@pytest.mark.usefixtures("blank_figures")
def test_what_lies_behind_the_mean_is_written_and_told(judged: ScoredTestSet, tmp_path: Path) -> None:
    analysed = analyse_errors(judged)
    write_reports(judged, EXPLAINED, tmp_path, analysed)
    written = {path.name for path in tmp_path.iterdir()}
    assert {"errors.json", "errors.csv", "errors.png", "errors.svg", "subgroups.txt"} <= written
    told = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert told["analysis"] == analysed.to_json()
