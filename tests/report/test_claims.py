"""Figures in documents agree with the results files, and a figure that does not is found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from brainslice.errors import DatasetError, UsageError
from brainslice.report.claims import check_documents, fill_documents, format_figure, read_results

PROJECT = Path(__file__).resolve().parents[2]
INTERVAL = {"value": 0.8789, "low": 0.8339, "high": 0.9136}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("README.md", "README.es.md"):
        shutil.copy(PROJECT / name, tmp_path)
    for name in ("docs", "results"):
        shutil.copytree(PROJECT / name, tmp_path / name)
    return tmp_path


def test_every_figure_of_the_documents_agrees_with_the_results() -> None:
    count, problems = check_documents(PROJECT)
    assert not problems
    assert count > 600


@pytest.mark.parametrize("document", ["README.md", "README.es.md", "docs/en/results.md", "docs/es/believing.md"])
def test_a_changed_figure_is_found(checkout: Path, document: str) -> None:
    path = checkout / document
    text = path.read_text(encoding="utf-8")
    place = text.index("-->", text.index("<!--=shipped.gbm_within")) + 4
    path.write_text(text[:place] + "9" + text[place + 1 :], encoding="utf-8")
    _, problems = check_documents(checkout)
    assert len(problems) == 1
    assert problems[0].startswith(f"{document}:")
    assert "shipped.gbm_within" in problems[0]


def test_new_results_are_found_until_the_documents_are_filled(checkout: Path) -> None:
    path = checkout / "results" / "shipped.json"
    results = json.loads(path.read_text(encoding="utf-8"))
    results["figures"]["accuracy"] = {"value": 0.95, "low": 0.93, "high": 0.97}
    path.write_text(json.dumps(results), encoding="utf-8")
    assert check_documents(checkout)[1]
    assert {changed.name for changed in fill_documents(checkout)} >= {"README.md", "README.es.md", "results.md"}
    assert not check_documents(checkout)[1]
    assert "0,950 [0,930; 0,970]" in (checkout / "README.es.md").read_text(encoding="utf-8")
    assert "<!--=shipped.accuracy:>=0.945-->met" in (checkout / "docs/en/results.md").read_text(encoding="utf-8")
    assert not fill_documents(checkout)


def test_an_interval_without_a_source_is_found(checkout: Path) -> None:
    page = checkout / "docs" / "en" / "gpu.md"
    page.write_text("# Page\n\n```\n0.1 [0.0, 0.2]\n```\n\nA rate of 0.123 [0.100, 0.150].\n", encoding="utf-8")
    assert check_documents(checkout)[1] == ["docs/en/gpu.md:7: 0.123 [0.100, 0.150] is bound to no results file"]


def test_a_mark_without_a_figure_is_found_and_not_filled(checkout: Path) -> None:
    (checkout / "docs" / "en" / "gpu.md").write_text("<!--=shipped.beauty-->0.1<!--/-->\n", encoding="utf-8")
    assert "no results file has it" in check_documents(checkout)[1][0]
    with pytest.raises(DatasetError, match=r"shipped\.beauty is in no results file"):
        fill_documents(checkout)


@pytest.mark.parametrize(
    ("figure", "style", "english", "spanish"),
    [
        (INTERVAL, None, "0.879 [0.834, 0.914]", "0,879 [0,834; 0,914]"),
        (INTERVAL, "value", "0.879", "0,879"),
        (INTERVAL, "percent1", "87.9 % [83.4, 91.4]", "87,9 % [83,4; 91,4]"),
        (0.468, "percent", "47 %", "47 %"),
        (0.97, "value2", "0.97", "0,97"),
        (1425, None, "1,425", "1.425"),
        (INTERVAL, ">=0.945", "**missed**", "**no alcanzado**"),
        (0.02, "<=0.02", "met", "alcanzado"),
    ],
)
def test_a_figure_is_written_as_the_language_writes_it(
    figure: float | dict[str, float], style: str | None, english: str, spanish: str
) -> None:
    assert format_figure(figure, style) == english
    assert format_figure(figure, style, spanish=True) == spanish


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(DatasetError, match="format of a figure must be"):
        format_figure(0.5, "roman")


def test_a_folder_without_results_and_a_damaged_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="must hold results files"):
        read_results(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "shipped.json").write_text('{"title": "x"}', encoding="utf-8")
    with pytest.raises(DatasetError, match=r"shipped\.json: must be a results file"):
        read_results(tmp_path)
