"""Tables beside a data set (``groups.csv``, ``labels.csv``), matched to scans by path."""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brainslice.errors import DatasetError

GROUPS_FILE: Final = "groups.csv"
"""A table beside the class folders, with the columns path and group, for sets whose patients are known."""

LABELS_FILE: Final = "labels.csv"
"""A table with the columns path and label, and perhaps group and split, for scans without class folders."""

_COLUMNS: Final = {
    "path": {"path", "file", "filename", "file_name", "filepath", "image", "image_path", "ruta", "archivo"},
    "group": {"group", "patient", "patient_id", "patientid", "subject", "subject_id", "grupo", "paciente"},
    "label": {"label", "class", "diagnosis", "etiqueta", "clase"},
    "split": {"split", "partition", "particion"},
}
_BYTE_ORDER_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class MatchedRows:
    """Rows of a table with the scans that they name.

    Attributes:
        rows: The cells by column name, for the index of each matched scan.
        note: The numbers of matched rows and scans, in one line.
    """

    rows: Mapping[int, Mapping[str, str]]
    note: str


def find_table(folders: Sequence[Path], name: str) -> Path | None:
    """Find a table by its name, in any case, in the first folder that holds it."""
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if path.name.casefold() == name and path.is_file():
                return path
    return None


def match_table(path: Path, needed: Sequence[str], sources: Sequence[str]) -> MatchedRows:
    r"""Read a table and match its rows to scans.

    Accepts UTF-8, UTF-16 and Windows-1252; commas, semicolons and tabs; headers in any case. Paths may have
    backslashes, be absolute, lack leading folders or suffixes, and differ in case and surrounding blanks.

    Args:
        path: The table.
        needed: Required columns, beside ``path``.
        sources: The scans' paths relative to the set, with forward slashes.

    Raises:
        DatasetError: The table is invalid, no row matches, a row matches several scans, or rows contradict each other.
    """
    rows = _read(path, needed)
    index = _Index(sources)
    found: dict[int, dict[str, str]] = {}
    lost: list[str] = []
    ambiguous: list[str] = []
    for number, row in enumerate(rows, start=2):
        places = index.places(row["path"])
        if len(places) == 1:
            older = found.setdefault(places[0], row)
            _refuse_contradiction(path, number, older, row)
        else:
            (ambiguous if places else lost).append(f"line {number}: {row['path']!r}")
    if ambiguous:
        named = "; ".join(ambiguous[:_NAMED])
        msg = f"{path}: {len(ambiguous):,} rows match several scans ({named}); write paths relative to {path.parent}"
        raise DatasetError(msg)
    if not found:
        example = f"first row {rows[0]['path']!r}, first scan {sources[0]!r}" if rows and sources else "it has no rows"
        msg = f"{path}: no row matches a scan ({example}); correct the paths or move the table away"
        raise DatasetError(msg)
    note = (
        f"{path.name}: {len(rows) - len(lost):,} of {len(rows):,} rows match {len(found):,} of {len(sources):,} scans"
    )
    return MatchedRows(found, f"{note}; no scan for {lost[0]}" if lost else note)


class _Index:
    """Index of scans by the last parts of their paths."""

    def __init__(self, sources: Sequence[str]) -> None:
        self._parts = [_parts(source) for source in sources]
        self._exact = [_parts(source, fold=False) for source in sources]
        self._tails: dict[tuple[str, ...], list[int]] = {}
        for place, parts in enumerate(self._parts):
            stem = parts[-1].rpartition(".")[0]
            for start in range(len(parts)):
                self._tails.setdefault(parts[start:], []).append(place)
                if stem:
                    self._tails.setdefault((*parts[start:-1], stem), []).append(place)

    def places(self, text: str) -> list[int]:
        """Find the scans that a path may mean: one must be the end of the other, or two parts be equal."""
        parts, exact = _parts(text), _parts(text, fold=False)
        for take in range(len(parts), 0, -1):
            places = self._tails.get(parts[-take:], [])
            whole = [place for place in places if take in {len(parts), len(self._parts[place])}]
            if not whole and take > 1 and len(places) == 1:
                whole = places
            if len(whole) > 1:
                whole = [place for place in whole if self._exact[place][-take:] == exact[-take:]] or whole
            if whole:
                return whole
        return []


def _parts(text: str, *, fold: bool = True) -> tuple[str, ...]:
    plain = unicodedata.normalize("NFC", text.strip().strip("\"'").strip()).replace("\\", "/")
    parts = [part.strip() for part in re.sub(r"^[A-Za-z]:", "", plain).split("/")]
    return tuple(part.casefold() if fold else part for part in parts if part not in {"", ".", ".."})


def _read(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    columns = ("path", *needed)
    try:
        text = _decoded(path.read_bytes())
        first = text.lstrip().partition("\n")[0]
        delimiter = max(",;\t", key=first.count)
        raw = list(csv.reader(io.StringIO(text.lstrip(), newline=""), delimiter=delimiter, strict=True))
        header = [_column(name) for name in (raw[0] if raw else [])]
        rows = [_row(header, cells) for cells in raw[1:] if any(cell.strip() for cell in cells)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{path}: must be a table with the columns {' and '.join(columns)} ({error}); correct it or move it away"
        raise DatasetError(msg) from error
    if any(header.count(name) != 1 for name in columns) or any(not row.get("path") for row in rows):
        msg = f"{path}: must be a table with the columns {' and '.join(columns)}, each once and each path filled in"
        raise DatasetError(msg)
    return rows


def _row(header: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    if len(cells) < len(header):
        msg = f"{len(header)} cells expected, got {len(cells)}"
        raise csv.Error(msg)
    return {name: cell.strip() for name, cell in zip(header, cells, strict=False)}


def _column(name: str) -> str:
    key = re.sub(r"[\s-]+", "_", name.strip().casefold())
    return next((column for column, names in _COLUMNS.items() if key in names), key)


def _decoded(data: bytes) -> str:
    if data.startswith(_BYTE_ORDER_MARKS):
        return data.decode("utf-16")
    if b"\0" in data[:200]:
        return data.decode("utf-16-be" if data[:1] == b"\0" else "utf-16-le")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252")


def _refuse_contradiction(path: Path, number: int, older: Mapping[str, str], row: Mapping[str, str]) -> None:
    for name in _COLUMNS:
        one, other = older.get(name), row.get(name)
        if name != "path" and one and other and one != other:
            msg = (
                f"{path}: line {number}: {row['path']!r} has the {name} {other!r}, and {one!r} in an earlier line; "
                "correct the table"
            )
            raise DatasetError(msg)
