"""Row files that are appended to while scans are predicted, and resumed after an interruption."""

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
from brainslice.tables.case_names import key_id_of
from brainslice.tables.columns import Row, cells_of, columns_of
from brainslice.tables.scan_listing import fingerprint

_REMEDY: Final = "give another --output, or replace the table with --overwrite"


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Settings that all rows of a table share.

    Attributes:
        labels: The classes.
        bundle: The digest of the bundle.
        threshold: P(tumour) from which a scan is predicted as a tumour.
        frame: Which frame, page or axial slice of files of several, from 1; None for none.
        key_id: The identifier of the key of pseudonyms; None for rows named by paths.
    """

    labels: LabelSet
    bundle: str
    threshold: float
    frame: int | None = None
    key_id: str | None = None


@dataclass(slots=True)
class ResumedRows:
    """The rows of earlier runs.

    Attributes:
        done: Fingerprints of the paths that have a row.
        rows: The number of rows.
        refused: The number of refusals among them.
        repaired: Whether an incomplete last line was removed.
    """

    done: set[bytes] = field(default_factory=set)
    rows: int = 0
    refused: int = 0
    repaired: bool = False

    def add(self, row: Row) -> None:
        """Count one row."""
        self.done.add(fingerprint(row["path"]))
        self.rows += 1
        self.refused += bool(row.get("refused"))

    def merge(self, other: ResumedRows) -> ResumedRows:
        """Count the rows of two files together."""
        repaired = self.repaired or other.repaired
        return ResumedRows(self.done | other.done, self.rows + other.rows, self.refused + other.refused, repaired)


@dataclass(frozen=True, slots=True)
class LineFormat:
    """A text format with a line for each row.

    Attributes:
        header: The first line; empty for none.
        prefix: The first characters of every file.
        encode: Formats a row as a line.
        decode: Parses the fields of a line that ``ResumedRows`` and ``check_resumable`` use; raises for other lines.
    """

    header: str
    prefix: str
    encode: Callable[[Row], str]
    decode: Callable[[str], Row]

    def is_incomplete(self, data: bytes) -> bool:
        """Return whether a file of one unfinished line may have this format."""
        prefix = self.prefix.encode()
        return data[: len(prefix)] == prefix[: len(data)]


def json_lines() -> LineFormat:
    """Return the format with a JSON object on each line."""
    return LineFormat("", '{"path": ', lambda row: json.dumps(row, ensure_ascii=False, allow_nan=False), _decode_json)


def comma_separated(labels: LabelSet) -> LineFormat:
    """Return the CSV format, with a header of column names."""
    columns = columns_of(labels)

    def decode(line: str) -> Row:
        cells = next(csv.reader([line], strict=True), [])
        row: Row = dict(zip(columns, cells, strict=True))
        return row | {"threshold": float(row["threshold"]), "frame": int(row["frame"]) if row["frame"] else None}

    header = _csv_line(columns)
    return LineFormat(header, header, lambda row: _csv_line(list(cells_of(row, labels).values())), decode)


def check_resumable(path: Path, row: Row, settings: RunSettings) -> None:
    """Check that a row has the settings of this run.

    Raises:
        UsageError: Bundle, threshold, frame or naming differ.
    """
    bundle, threshold, frame = row.get("bundle"), row.get("threshold"), row.get("frame")
    key_id = key_id_of(row["path"])
    difference = ""
    if bundle != settings.bundle:
        difference = f"rows of bundle {str(bundle)[:12]}, this run has {settings.bundle[:12]}"
    elif threshold != settings.threshold:
        difference = f"rows at the threshold {threshold}, this run has {settings.threshold}"
    elif frame != settings.frame:
        theirs, ours = (f"frame {number}" if number else "no frame" for number in (frame, settings.frame))
        difference = f"rows of {theirs}, this run has {ours}"
    elif key_id != settings.key_id:
        theirs, ours = (f"the pseudonyms of key {each}" if each else "paths" for each in (key_id, settings.key_id))
        difference = f"rows named by {theirs}, this run has {ours}"
    if difference:
        msg = f"{path}: holds {difference}; {_REMEDY}"
        raise UsageError(msg)


def read_rows(path: Path, lines: LineFormat, settings: RunSettings) -> tuple[ResumedRows, int]:
    """Read the rows of an earlier run up to the last complete line.

    Args:
        path: The file, which need not exist.
        lines: Its format.
        settings: The settings of this run.

    Returns:
        The rows, and their length in bytes.

    Raises:
        UsageError: The file has another format, or rows of other settings.
    """
    kept, length = ResumedRows(), 0
    if not path.exists():
        return kept, length
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        for number, data in enumerate(stream, start=1):
            row = _decode_line(data, lines, first=number == 1)
            if row is None:
                incomplete = length + len(data) == size and (length or lines.is_incomplete(data))
                if not incomplete:
                    # Never truncate a file that brainslice did not write.
                    msg = f"{path}: line {number} is no row of this table; {_REMEDY}"
                    raise UsageError(msg)
                kept.repaired = True
                break
            length += len(data)
            if row:
                check_resumable(path, row, settings)
                kept.add(row)
    return kept, length


@contextmanager
def append_rows(path: Path, lines: LineFormat, length: int) -> Iterator[Callable[[Sequence[Row]], None]]:
    """Truncate a file to a length in bytes, and open it to append rows.

    Yields:
        A function that appends rows and syncs them to the disk.

    Raises:
        ResourceError: The disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with full_disk_error(path), path.open("ab") as stream:
        stream.truncate(length)
        if lines.header and not length:
            _write_and_sync(stream, [lines.header])
        yield lambda rows: _write_and_sync(stream, [lines.encode(row) for row in rows])


def _decode_line(data: bytes, lines: LineFormat, *, first: bool) -> Row | None:
    """Decode a line to its row; an empty row for the header, None for any other line."""
    if not data.endswith(b"\n"):
        return None
    try:
        text = data.decode("utf-8").rstrip("\r\n")
        if first and lines.header:
            return {} if text == lines.header else None
        return lines.decode(text)
    except (ValueError, TypeError, csv.Error):
        return None


def _write_and_sync(stream: BinaryIO, lines: Sequence[str]) -> None:
    stream.write("".join(f"{line}\n" for line in lines).encode("utf-8"))
    stream.flush()
    os.fsync(stream.fileno())


def _decode_json(line: str) -> Row:
    row = json.loads(line)
    if not isinstance(row, dict) or not isinstance(row.get("path"), str):
        msg = "must be an object with a path"
        raise TypeError(msg)
    return row


def _csv_line(cells: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()
