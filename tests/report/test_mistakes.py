from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from brainslice.evaluation.error_analysis import ErrorAnalysis, analyse_errors
from brainslice.evaluation.scoring import ScoredTestSet, evaluate_test_set
from brainslice.inference.prediction import format_percent
from brainslice.labels import class_title
from brainslice.paths import ProjectPaths
from brainslice.report.figures import style
from brainslice.report.mistakes import draw_gallery, subgroup_table, write_mistakes
from stand_in import config, prepare_project, write_bundle_for


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> ScoredTestSet:
    root = prepare_project(tmp_path_factory.mktemp("project"))
    places = ProjectPaths.of(root, config())
    write_bundle_for(places, config())
    return evaluate_test_set(places, config())


@pytest.fixture(scope="module")
def analysed(judged: ScoredTestSet) -> ErrorAnalysis:
    return analyse_errors(judged)


@pytest.mark.usefixtures("blank_figures")
def test_all_mistakes_are_written_as_json_and_as_a_table(
    judged: ScoredTestSet, analysed: ErrorAnalysis, tmp_path: Path
) -> None:
    write_mistakes(analysed, judged.evaluation, tmp_path)
    told = json.loads((tmp_path / "errors.json").read_text(encoding="utf-8"))
    assert told["n"] == len(told["errors"]) == len(analysed.mistakes)
    assert told["warnings"] == ["phantom"]
    with (tmp_path / "errors.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["path"] for row in rows] == [mistake.path for mistake in analysed.mistakes]
    assert {row["kind"] for row in rows} <= {"missed tumour", "false alarm", "wrong class"}
    assert (tmp_path / "errors.png").is_file()


def test_the_table_tells_n_and_groups_of_every_part(judged: ScoredTestSet, analysed: ErrorAnalysis) -> None:
    table = subgroup_table(analysed.rows, judged.evaluation)
    assert len(table.rows) == len(analysed.rows)
    for row, cells in zip(analysed.rows, table.rows, strict=True):
        assert cells[0].startswith(f"{row.attribute}: ")
        assert cells[-2:] == (str(row.n), str(row.groups))
    assert "PHANTOM" in table.text
    assert "by chance" in table.text


def test_the_gallery_shows_scan_called_class_and_truth(
    judged: ScoredTestSet, analysed: ErrorAnalysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, Figure] = {}
    monkeypatch.setattr(style, "_save", lambda figure, path: drawn.__setitem__(path.name, figure))
    first = analysed.mistakes[0]
    in_set = replace(first, answer=replace(first.answer, coverage=0.9, prediction_set=("glioma", "pituitary")))
    draw_gallery((in_set, *analysed.mistakes[1:3]), judged.evaluation, tmp_path / "errors")
    axes = drawn["errors"].axes
    assert sum(bool(panel.get_images()) for panel in axes) == 9
    titles = [panel.get_title(loc="left").replace("\n", " ") for panel in axes]
    called = first.answer.predicted_class
    assert titles[:3] == [
        first.kind.value,
        f"predicted {class_title(called)}, {format_percent(first.answer.probabilities[called])}",
        f"true {class_title(first.true)}, {format_percent(first.true_probability)}",
    ]
    assert [text.get_text() for panel in axes for text in panel.texts] == ["set: glioma, pituitary"]
    assert not drawn["errors"].texts or all(first.path not in text.get_text() for text in drawn["errors"].texts)


@pytest.mark.usefixtures("blank_figures")
def test_where_nothing_went_wrong_an_older_gallery_goes(
    judged: ScoredTestSet, analysed: ErrorAnalysis, tmp_path: Path
) -> None:
    write_mistakes(analysed, judged.evaluation, tmp_path)
    write_mistakes(replace(analysed, mistakes=()), judged.evaluation, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"errors.json", "errors.csv", "subgroups.txt"}
    assert json.loads((tmp_path / "errors.json").read_text())["errors"] == []
