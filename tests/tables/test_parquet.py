from __future__ import annotations

from pathlib import Path

import pytest

from brainslice.errors import UsageError
from brainslice.labels import LabelSet
from brainslice.tables.columns import Row, columns_of
from brainslice.tables.journal import append_rows, json_lines

pytest.importorskip("pyarrow", reason="needs the extra brainslice[parquet]")


def row(path: str, **more: object) -> Row:
    return {"path": path, "frame": 2, "threshold": 0.5, "bundle": "a" * 64} | more


def append(path: Path, rows: list[Row]) -> None:
    from brainslice.tables import parquet

    with append_rows(path.with_suffix(".part"), json_lines(), 0) as add:
        add(rows)
    parquet.write_parquet(path, path.with_suffix(".part"), LabelSet())


def test_rows_are_appended_to_an_existing_table(tmp_path: Path) -> None:
    from pyarrow import parquet as pq

    table = tmp_path / "rows.parquet"
    append(table, [row("a.png", tumour=True, probabilities={"glioma": 0.125}), row("b.png", refused="is empty")])
    append(table, [row("c.png", warnings=["phantom", "leaky"])])
    found = pq.read_table(table)
    assert tuple(found.column_names) == columns_of(LabelSet())
    assert found["path"].to_pylist() == ["a.png", "b.png", "c.png"]
    assert found["probability_glioma"].to_pylist() == [0.125, None, None]
    assert found["tumour"].to_pylist() == [True, None, None]
    assert found["warnings"].to_pylist() == [None, None, "phantom|leaky"]


def test_fields_for_resuming_are_read_back(tmp_path: Path) -> None:
    from brainslice.tables.parquet import rows_in

    append(tmp_path / "rows.parquet", [row("a.png"), row("b.png", refused="is empty")])
    assert list(rows_in(tmp_path / "rows.parquet", LabelSet())) == [
        row("a.png", refused=None),
        row("b.png", refused="is empty"),
    ]


def test_other_parquet_tables_are_refused(tmp_path: Path) -> None:
    from brainslice.tables.parquet import rows_in

    append(tmp_path / "rows.parquet", [row("a.png")])
    with pytest.raises(UsageError, match="its columns differ"):
        list(rows_in(tmp_path / "rows.parquet", LabelSet(("yes", "no"), "no")))
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(UsageError, match=r"text\.parquet: is no table of these classes"):
        list(rows_in(tmp_path / "text.parquet", LabelSet()))
