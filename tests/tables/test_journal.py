from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainslice.errors import UsageError
from brainslice.labels import LabelSet
from brainslice.tables.columns import Row
from brainslice.tables.journal import (
    LineFormat,
    ResumedRows,
    RunSettings,
    append_rows,
    comma_separated,
    json_lines,
    read_rows,
)
from brainslice.tables.scan_listing import fingerprint

SETTINGS = RunSettings(LabelSet(), "a" * 64, 0.5)
FORMATS = [pytest.param(json_lines(), id="jsonl"), pytest.param(comma_separated(LabelSet()), id="csv")]


def row(path: str, **more: object) -> Row:
    return {"path": path, "threshold": 0.5, "bundle": "a" * 64} | more


ROWS = [row("a.png", **{"class": "glioma"}), row("b, c.png", refused='is "empty"; copy it'), row("ü.png", tumour=True)]


def write(path: Path, lines: LineFormat, rows: list[Row], length: int = 0) -> bytes:
    with append_rows(path, lines, length) as add:
        add(rows)
    return path.read_bytes()


@pytest.mark.parametrize("lines", FORMATS)
def test_written_rows_are_read_back(lines: LineFormat, tmp_path: Path) -> None:
    data = write(tmp_path / "rows", lines, ROWS)
    kept, length = read_rows(tmp_path / "rows", lines, SETTINGS)
    assert length == len(data)
    assert kept == ResumedRows({fingerprint(each["path"]) for each in ROWS}, rows=3, refused=1, repaired=False)


@pytest.mark.parametrize("lines", FORMATS)
def test_truncated_file_is_resumed_to_equal_bytes(lines: LineFormat, tmp_path: Path) -> None:
    path = tmp_path / "rows"
    data = write(path, lines, ROWS)
    for end in range(len(data) + 1):
        path.write_bytes(data[:end])
        kept, length = read_rows(path, lines, SETTINGS)
        assert length <= end
        assert kept.repaired == (length < end)
        assert write(path, lines, ROWS[kept.rows :], length) == data


@pytest.mark.parametrize("lines", FORMATS)
def test_last_line_of_zeros_is_removed(lines: LineFormat, tmp_path: Path) -> None:
    data = write(tmp_path / "rows", lines, ROWS)
    (tmp_path / "rows").write_bytes(data + bytes(300))
    kept, length = read_rows(tmp_path / "rows", lines, SETTINGS)
    assert (kept.rows, kept.repaired, length) == (3, True, len(data))


@pytest.mark.parametrize("lines", FORMATS)
@pytest.mark.parametrize(
    "theirs", [b"my notes\n", b"my notes", b"name,age\nx,3\n", b"[1, 2]\n", b'{"a": 1}\n', b"\xff\xfe"]
)
def test_other_files_are_refused_and_not_changed(lines: LineFormat, theirs: bytes, tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(theirs)
    with pytest.raises(UsageError, match=r"rows: line 1 is no row of this table; give another --output"):
        read_rows(tmp_path / "rows", lines, SETTINGS)


@pytest.mark.parametrize("lines", FORMATS)
def test_damaged_line_is_refused_with_its_number(lines: LineFormat, tmp_path: Path) -> None:
    data = write(tmp_path / "rows", lines, ROWS).splitlines(keepends=True)
    data[-2] = b"damaged\n"
    (tmp_path / "rows").write_bytes(b"".join(data))
    with pytest.raises(UsageError, match=f"line {len(data) - 1} is no row of this table"):
        read_rows(tmp_path / "rows", lines, SETTINGS)


@pytest.mark.parametrize("lines", FORMATS)
def test_rows_of_another_bundle_threshold_or_frame_are_never_mixed(lines: LineFormat, tmp_path: Path) -> None:
    write(tmp_path / "rows", lines, ROWS)
    with pytest.raises(UsageError, match=r"holds rows of bundle a{12}, this run has b{12}; give another --output"):
        read_rows(tmp_path / "rows", lines, RunSettings(LabelSet(), "b" * 64, 0.5))
    with pytest.raises(UsageError, match=r"holds rows at the threshold 0\.5, this run has 0\.25"):
        read_rows(tmp_path / "rows", lines, RunSettings(LabelSet(), "a" * 64, 0.25))
    with pytest.raises(UsageError, match=r"holds rows of no frame, this run has frame 2"):
        read_rows(tmp_path / "rows", lines, RunSettings(LabelSet(), "a" * 64, 0.5, frame=2))


def test_a_table_of_other_classes_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "rows", comma_separated(LabelSet(("yes", "no"), "no")), [])
    with pytest.raises(UsageError, match="line 1 is no row"):
        read_rows(tmp_path / "rows", comma_separated(LabelSet()), SETTINGS)


def test_missing_file_has_no_rows(tmp_path: Path) -> None:
    assert read_rows(tmp_path / "rows", json_lines(), SETTINGS) == (ResumedRows(), 0)


def test_merge_counts_the_rows_of_two_files() -> None:
    first, second = ResumedRows({b"a"}, 1, 1), ResumedRows({b"b", b"c"}, 2, 0, repaired=True)
    assert first.merge(second) == ResumedRows({b"a", b"b", b"c"}, 3, 1, repaired=True)


@given(st.text(st.characters(blacklist_categories=("Cc", "Cs", "Zl", "Zp"))), st.floats(0, 1))
def test_csv_round_trip_keeps_text_and_digits(text: str, share: float) -> None:
    lines = comma_separated(LabelSet())
    line = lines.encode(row(text, probabilities={"glioma": share}))
    assert lines.decode(line)["path"] == text
    (cells,) = csv.DictReader([lines.header, line])
    assert float(cells["probability_glioma"]) == share
