"""A file that rows are added to as they are answered, and that a later run goes on with."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from brainslice.errors import UsageError
from brainslice.files import full_disk_error
from brainslice.labels import LabelSet
from brainslice.tables.columns import Row, cells_of, columns_of
from brainslice.tables.scan_listing import fingerprint

_END: Final = b"\n"
_ANEW: Final = "give another --output, or begin anew with --overwrite"


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What rows of one table have in common; rows of another bundle, threshold or frame are never mixed with them.

    Attributes:
        labels: The classes.
        bundle: The digest of the bundle that answers.
        threshold: The probability of any tumour from which a scan is called one.
        frame: Which frame, page or axial slice of files that hold several is asked for, from 1; None for none.
    """

    labels: LabelSet
    bundle: str
    threshold: float
    frame: int | None = None


@dataclass(slots=True)
class ResumedRows:
    """What an earlier run left.

    Attributes:
        done: Fingerprints of the paths that have a row.
        rows: How many rows there are.
        refused: How many of them are refusals.
        mended: Whether a last line was torn and cut off.
    """

    done: set[bytes] = field(default_factory=set)
    rows: int = 0
    refused: int = 0
    mended: bool = False

    def add(self, row: Row) -> None:
        """Count one row."""
        self.done.add(fingerprint(row["path"]))
        self.rows += 1
        self.refused += bool(row.get("refused"))

    def joined(self, other: ResumedRows) -> ResumedRows:
        """Count what two files hold together."""
        mended = self.mended or other.mended
        return ResumedRows(self.done | other.done, self.rows + other.rows, self.refused + other.refused, mended)


@dataclass(frozen=True, slots=True)
class LineFormat:
    """How rows are spelled, a line each.

    Attributes:
        head: The first line; empty where rows begin at once.
        opening: What the first line of the file begins with.
        spell: Makes a line of a row.
        read: Makes of a line what ``ResumedRows`` and ``check_resumable`` need of its row; an error where it is none.
    """

    head: str
    opening: str
    spell: Callable[[Row], str]
    read: Callable[[str], Row]

    def begins_like(self, data: bytes) -> bool:
        """Tell whether a file's only, unfinished line may be ours."""
        opening = self.opening.encode()
        return data[: len(opening)] == opening[: len(data)]


def json_lines() -> LineFormat:
    """Spell rows as JSON objects."""
    return LineFormat("", '{"path": ', lambda row: json.dumps(row, ensure_ascii=False, allow_nan=False), _read_json)


def comma_separated(labels: LabelSet) -> LineFormat:
    """Spell rows as cells between commas, below a line that names the columns."""
    columns = columns_of(labels)

    def read(line: str) -> Row:
        cells = next(csv.reader([line], strict=True), [])
        if len(cells) != len(columns):
            msg = f"must have {len(columns)} cells, got {len(cells)}"
            raise ValueError(msg)
        row: Row = dict(zip(columns, cells, strict=True))
        return row | {"threshold": float(row["threshold"]), "frame": int(row["frame"]) if row["frame"] else None}

    head = _csv_line(columns)
    return LineFormat(head, head, lambda row: _csv_line(list(cells_of(row, labels).values())), read)


def check_resumable(path: Path, row: Row, asked: RunSettings) -> None:
    """Refuse to mix rows.

    Raises:
        UsageError: The row was answered by another bundle, at another threshold or about another frame.
    """
    if row.get("bundle") != asked.bundle:
        theirs = str(row.get("bundle"))[:12]
        msg = f"{path}: holds rows of bundle {theirs}, this run has {asked.bundle[:12]}; {_ANEW}"
        raise UsageError(msg)
    if row.get("threshold") != asked.threshold:
        msg = f"{path}: holds rows at the threshold {row.get('threshold')}, this run has {asked.threshold}; {_ANEW}"
        raise UsageError(msg)
    if row.get("frame") != asked.frame:
        both = (row.get("frame"), asked.frame)
        theirs, ours = (f"frame {frame}" if frame else "no frame by number" for frame in both)
        msg = f"{path}: holds rows that ask for {theirs}, this run asks for {ours}; {_ANEW}"
        raise UsageError(msg)


def read_kept(path: Path, lines: LineFormat, asked: RunSettings) -> tuple[ResumedRows, int]:
    """Read what an earlier run left, up to its last whole line.

    Args:
        path: The file; it need not be there.
        lines: How its rows are spelled.
        asked: What this run asks.

    Returns:
        What was kept, and how many bytes of the file that is.

    Raises:
        UsageError: The file holds something else, or rows of another bundle, threshold or frame.
    """
    kept, length = ResumedRows(), 0
    if not path.exists():
        return kept, length
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        for number, data in enumerate(stream, start=1):
            row = _row_of(data, lines, first=number == 1)
            if row is None:
                torn = length + len(data) == size and (length or lines.begins_like(data))
                if not torn:
                    # Nobody's own file may be cut off for a table.
                    msg = f"{path}: line {number} is no row of this table; {_ANEW}"
                    raise UsageError(msg)
                kept.mended = True
                break
            length += len(data)
            if row:
                check_resumable(path, row, asked)
                kept.add(row)
    return kept, length


@contextmanager
def append_rows(path: Path, lines: LineFormat, length: int) -> Iterator[Callable[[Sequence[Row]], None]]:
    """Open a file to add rows to, cut off behind its last whole line.

    Args:
        path: The file.
        lines: How its rows are spelled.
        length: How many of its bytes stay.

    Yields:
        What adds rows; when it returns, they are on the disk.

    Raises:
        ResourceError: The disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with full_disk_error(path), path.open("ab") as stream:
        stream.truncate(length)
        if lines.head and not length:
            _settle(stream, [lines.head])
        yield lambda rows: _settle(stream, [lines.spell(row) for row in rows])


def _row_of(data: bytes, lines: LineFormat, *, first: bool) -> Row | None:
    """Read one line: its row, an empty row for the head, None where it is neither."""
    if not data.endswith(_END):
        return None
    try:
        text = data.decode("utf-8").rstrip("\r\n")
        if first and lines.head:
            return {} if text == lines.head else None
        return lines.read(text)
    except (ValueError, TypeError, csv.Error):
        return None


def _settle(stream: BinaryIO, lines: Sequence[str]) -> None:
    stream.write("".join(f"{line}\n" for line in lines).encode("utf-8"))
    stream.flush()
    os.fsync(stream.fileno())


def _read_json(line: str) -> Row:
    row = json.loads(line)
    if not isinstance(row, dict) or not isinstance(row.get("path"), str):
        msg = "must be an object with a path"
        raise TypeError(msg)
    return row


def _csv_line(cells: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()
