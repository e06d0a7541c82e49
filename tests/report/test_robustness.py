from __future__ import annotations

import json
from pathlib import Path

from brainslice.evaluation.corruptions import CORRUPTIONS
from brainslice.report.robustness import robustness_table, write_robustness
from sweeps import sweep


def test_every_change_has_a_row_with_its_amount_and_intervals() -> None:
    table = robustness_table(sweep())
    assert len(table.rows) == 1 + 5 * len(CORRUPTIONS)
    assert table.rows[0][:4] == ("none", "0", "–", "0.900 [0.850, 0.950]")
    assert table.rows[-1][:4] == ("crop", "5", "0.3", "0.400 [0.350, 0.450]")
    assert "40 of 80, drawn at random" in table.title
    assert table.footnotes[0].startswith("PHANTOM")
    assert "Test scans opened: 2 times." in table.footnotes
    assert "rotation: degrees, either way." in table.footnotes


def test_all_files_are_written_and_a_site_has_its_own(tmp_path: Path) -> None:
    path = write_robustness(sweep(), tmp_path)
    assert write_robustness(sweep(), tmp_path, "clinic").name == "robustness_clinic.json"
    assert {each.name for each in tmp_path.glob("robustness.*")} == {
        f"robustness.{ending}" for ending in ("json", "txt", "png", "svg")
    }
    told = json.loads(path.read_text(encoding="utf-8"))
    assert told["schema"] == "brainslice/robustness/1"
    assert told["corruptions"]["JPEG"]["severities"][4]["amount"] == 5
