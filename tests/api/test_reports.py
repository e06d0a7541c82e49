from __future__ import annotations

import json
from pathlib import Path

import pytest

import brainslice
from brainslice.errors import DatasetError
from stand_in import config, copy_project


def test_a_sweep_is_written_with_its_page(trained: Path, tmp_path: Path) -> None:
    root = copy_project(trained, tmp_path / "project")
    found = brainslice.measure_robustness(str(root), sample=2, config=config())
    told = json.loads((root / "reports" / "robustness.json").read_text(encoding="utf-8"))
    assert told["n"] == len(found.scans.labels) == 2
    assert found.test_accesses == told["test_openings"]
    assert "Robustness" in (root / "reports" / "report.html").read_text(encoding="utf-8")


def test_a_page_needs_results(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no results"):
        brainslice.write_report(tmp_path)
