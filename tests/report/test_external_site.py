from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from brainslice.dataset.duplicates.overlap import BINARY_LABELS
from brainslice.dataset.external_site import ExternalSite, SiteScan
from brainslice.evaluation.external_validation import ExternalValidation, Method, compare_methods
from brainslice.report.external_site import (
    comparison_table,
    curve_table,
    external_tables,
    site_table,
    write_adaptation,
    write_external,
)

TUMOURS = np.arange(20) < 12


@pytest.fixture
def found() -> ExternalValidation:
    rng = np.random.default_rng(0)
    chances = np.clip(rng.normal(0.4 + 0.2 * TUMOURS, 0.15), 0, 1)
    base = Method("bundle", chances, chances >= 0.5, "its own threshold")
    better = Method("adapted_elsewhere", chances, TUMOURS.copy(), "out of fold", 0.91)
    scans = tuple(
        SiteScan(Path(f"{n}.png"), f"{n:064x}", "yes" if kind else "no", bool(kind), n)
        for n, kind in enumerate(TUMOURS)
    )
    site = ExternalSite("elsewhere", BINARY_LABELS, scans, 23, 2, (1, 0), 0, ())
    entries = compare_methods(TUMOURS, np.arange(20), [base, better])
    return ExternalValidation(site, entries, ("phantom",), 0.9, {}, {"bundle": "a" * 64})


def test_the_table_gives_each_figure_its_interval_and_each_row_its_note(found: ExternalValidation) -> None:
    (table,) = external_tables(found)
    assert [row[0] for row in table.rows] == ["bundle", "adapted_elsewhere"]
    assert all(len(row) == len(table.header) for row in table.rows)
    assert table.rows[1][4:6] == ("0", "0")
    assert "[" in table.rows[0][1]
    assert table.rows[0][-2:] == ("–", "–")
    assert table.rows[1][-2] == "0.910"
    text = table.text
    assert "PHANTOM" in text
    assert "adapted_elsewhere: out of fold." in text
    assert "1 tumour, 0 healthy" in text


def test_the_page_and_the_json_are_written_and_the_summary_reads_them(
    found: ExternalValidation, tmp_path: Path
) -> None:
    data, page = write_external(found, tmp_path)
    assert (data.name, page.name) == ("elsewhere.json", "elsewhere.md")
    assert "| adapted_elsewhere |" in page.read_text(encoding="utf-8")
    told = json.loads(data.read_text(encoding="utf-8"))
    assert (told["n"], told["tumours"], told["known_to_the_model"]) == (20, 12, [1, 0])
    shown = site_table(told)
    (table,) = external_tables(found)
    assert [row[:6] for row in table.rows] == list(shown.rows)


def test_an_adaptation_has_a_page_of_its_own(found: ExternalValidation, tmp_path: Path) -> None:
    curve = curve_table([(0, found.entries[0].scores), (None, found.entries[1].scores)])
    assert [row[0] for row in curve.rows] == ["0", "all others"]
    data, page = write_adaptation(
        tmp_path, "elsewhere", {"site": "elsewhere"}, [comparison_table("Ways", found.entries), curve]
    )
    assert data.name == "elsewhere_adaptation.json"
    assert page.read_text(encoding="utf-8").count("# ") == 2
