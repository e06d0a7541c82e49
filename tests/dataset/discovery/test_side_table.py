from __future__ import annotations

from pathlib import Path

import pytest

from brainslice.dataset.discovery.side_table import find_table, match_table
from brainslice.errors import DatasetError

SOURCES = ["Training/glioma/a 1.png", "Training/glioma/b.png", "Training/no/a 1.png", "Testing/no/c.png"]


def table(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "groups.csv"
    path.write_bytes(text.encode(encoding))
    return path


def groups(path: Path) -> dict[str, str]:
    return {SOURCES[place]: row["group"] for place, row in match_table(path, ("group",), SOURCES).rows.items()}


@pytest.mark.parametrize(
    "written",
    [
        "Training/glioma/b.png",
        r"Training\glioma\b.png",
        "./Training/glioma/b.png",
        "/data/set/Training/glioma/b.png",
        r"C:\\sets\\Training\\glioma\\b.png",
        "my-set/Training/glioma/b.png",
        "glioma/b.png",
        "b.png",
        "B.PNG",
        "TRAINING/GLIOMA/B.PNG",
        "b",
        " Training/glioma/b.png  ",
        '"Training/glioma/b.png"',
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_path_is_matched_as_people_write_it(tmp_path: Path, written: str, delimiter: str, encoding: str) -> None:
    text = f"Path{delimiter}Group\r\n{written}{delimiter}Peña\r\n"
    assert groups(table(tmp_path, text, encoding)) == {"Training/glioma/b.png": "Peña"}


@pytest.mark.parametrize("header", ["path,group", "Filename,Patient", "image,patient_id", "FILE , Subject ID"])
def test_columns_have_several_names(tmp_path: Path, header: str) -> None:
    assert groups(table(tmp_path, f"{header}\nc.png,7\n")) == {"Testing/no/c.png": "7"}


def test_rows_and_scans_that_matched_are_counted(tmp_path: Path) -> None:
    found = match_table(table(tmp_path, "path,group\nb.png,1\nc.png,2\nz.png,3\n"), ("group",), SOURCES)
    assert found.note == "groups.csv: 2 of 3 rows match 2 of 4 scans; no scan for line 4: 'z.png'"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("path,group\nx.png,1\n", "no row matches a scan"),
        ("path,group\n", "no row matches a scan"),
        ("path,group\na 1.png,1\n", "1 rows match several scans"),
        ("path,group\nb.png,1\nglioma/b.png,2\n", "line 3: 'glioma/b.png' has the group '2', and '1' in an earlier"),
        ("file,class\nb.png,1\n", "must be a table with the columns path and group"),
        ("path,group\n,1\n", "each path filled in"),
        ("path,group\nb.png\n", "2 cells expected, got 1"),
        ("", "must be a table"),
    ],
)
def test_a_table_that_matches_nothing_or_contradicts_itself_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(DatasetError, match=fault) as caught:
        groups(table(tmp_path, text))
    assert "groups.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_is_found_in_the_nearest_folder_and_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "Groups.CSV").touch()
    assert find_table([tmp_path / "set", tmp_path], "groups.csv") == tmp_path / "Groups.CSV"
    assert find_table([tmp_path / "set"], "groups.csv") is None
