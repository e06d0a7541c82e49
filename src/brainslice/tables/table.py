"""Many scans become one table, written as they are answered; interrupted, the next run goes on."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import islice, tee
from pathlib import Path
from typing import Final, TypeAlias

from brainslice.errors import UsageError
from brainslice.inference.decoding import BATCH
from brainslice.inference.prediction import Prediction, Refusal
from brainslice.inference.predictor import Predictor
from brainslice.lock import exclusive_lock
from brainslice.progress import Progress, silent
from brainslice.scan.listing import SkippedFiles
from brainslice.tables.columns import Row, row_of
from brainslice.tables.journal import (
    ResumedRows,
    RunSettings,
    append_rows,
    check_resumable,
    comma_separated,
    json_lines,
    read_kept,
)
from brainslice.tables.scan_listing import display_path, fingerprint, list_scans

AnswerRow: TypeAlias = tuple[Path, Prediction | Refusal]
"""A path that was asked about, and what was said."""

ENDINGS: Final = (".jsonl", ".csv", ".parquet")
"""The endings a table may have; they say how it is written."""


@dataclass(frozen=True, slots=True)
class TableSummary:
    """What a table holds in the end.

    Attributes:
        rows: How many rows, those of earlier runs included.
        refused: How many of them are refusals.
        kept: How many were there before this run.
        mended: Whether an earlier run had left half a line, which was cut off.
        skipped: Which files in folders were passed over and why, in one line; empty where none were.
    """

    rows: int
    refused: int
    kept: int
    mended: bool
    skipped: str = field(default="", compare=False)


def answers(
    predictor: Predictor,
    places: Iterable[Path],
    progress: Progress = silent,
    done: AbstractSet[bytes] = frozenset(),
    skipped: SkippedFiles | None = None,
) -> Iterator[AnswerRow]:
    """Answer for every scan that files and folders stand for, in an order that never changes.

    Args:
        predictor: Who answers.
        places: Files and folders. What can be gone through twice is counted first; an iterator's length is unknown.
        progress: Told how many are done.
        done: Fingerprints of spelled paths that are passed over.
        skipped: Counts the files in folders that are no scans.

    Yields:
        Each path with its answer, or with the reason why there is none.

    Raises:
        UsageError: A folder that was named holds no scans.
        BundleError: The model gives no usable answer.
    """

    def wanted(counted: SkippedFiles | None = None) -> Iterator[Path]:
        return (path for path in list_scans(places, counted) if not done or fingerprint(display_path(path)) not in done)

    total = 0 if isinstance(places, Iterator) else sum(1 for _ in wanted())
    asked, waiting = tee(wanted(skipped))
    for number, pair in enumerate(zip(waiting, predictor.predict_many(asked), strict=True), start=1):
        yield pair
        progress("predict", number, max(number, total))


def predict_tree(
    predictor: Predictor,
    places: Iterable[Path],
    output: Path,
    *,
    overwrite: bool = False,
    each: Callable[[Path, Prediction], None] | None = None,
    progress: Progress = silent,
) -> TableSummary:
    """Answer for every scan that files and folders stand for, and write a table of it, a row for each.

    Rows reach the disk as they are answered. A later run with the same table keeps them, cuts off half a line that a
    crash left, and answers for the scans that have no row yet; so a table can grow with its folder.

    Args:
        predictor: Who answers.
        places: Files and folders.
        output: The table; its ending says how it is written: ``.jsonl``, ``.csv`` or ``.parquet``. Parquet cannot be
            added to, so its rows wait in ``OUTPUT.part`` until the last one is there.
        overwrite: Whether to begin anew, whatever is there.
        each: Called with every path and its answer before its row is written.
        progress: Called with how many are done.

    Returns:
        What the table holds.

    Raises:
        UsageError: The ending is none of those, pyarrow is missing, a folder holds no scans, the table holds something
            else or rows of another bundle, threshold or frame, or another run is writing to it.
        ResourceError: The disk is full.
    """
    info, skipped = predictor.bundle.info, SkippedFiles()
    table = _Table(output, RunSettings(predictor.bundle.labels, info.digest, predictor.threshold, predictor.frame))
    with exclusive_lock(output.with_name(f".{output.name}.lock"), f"writing {output.name}"):
        kept, length = (ResumedRows(), 0) if overwrite else table.keep()
        before = kept.rows
        answered = answers(predictor, places, progress, kept.done, skipped)
        # The first answers come before a file is touched: what cannot be meant shall cost no older table.
        some = list(islice(answered, BATCH))
        if overwrite:
            table.forget()
        with append_rows(table.journal, table.lines, length) as add:
            while some:
                rows = [_row(pair, predictor, each) for pair in some]
                add(rows)
                for row in rows:
                    kept.add(row)
                some = list(islice(answered, BATCH))
        table.seal()
    return TableSummary(kept.rows, kept.refused, before, kept.mended, skipped.summary)


class _Table:
    """Where rows are written, and how."""

    def __init__(self, output: Path, asked: RunSettings) -> None:
        ending = output.suffix.casefold()
        if ending not in ENDINGS:
            msg = f"{output}: a table must end in {', '.join(ENDINGS)}, got {ending or 'no ending'}"
            raise UsageError(msg)
        self.output, self.asked = output, asked
        self.sealed = ending == ".parquet"
        if self.sealed and importlib.util.find_spec("pyarrow") is None:
            msg = f"{output}: Parquet needs pyarrow; pip install 'brainslice[parquet]', or take .csv or .jsonl"
            raise UsageError(msg)
        self.journal = output.with_name(f"{output.name}.part") if self.sealed else output
        self.lines = comma_separated(asked.labels) if ending == ".csv" else json_lines()

    def forget(self) -> None:
        self.output.unlink(missing_ok=True)
        self.journal.unlink(missing_ok=True)

    def keep(self) -> tuple[ResumedRows, int]:
        kept, length = read_kept(self.journal, self.lines, self.asked)
        if not self.sealed or not self.output.exists():
            return kept, length
        from brainslice.tables import parquet  # noqa: PLC0415 - pyarrow is an extra

        sealed = ResumedRows(mended=kept.mended)
        for row in parquet.rows_in(self.output, self.asked.labels):
            check_resumable(self.output, row, self.asked)
            sealed.add(row)
        # A run that ended between sealing its rows and deleting their journal leaves them in both.
        return (sealed, 0) if sealed.done & kept.done else (sealed.joined(kept), length)

    def seal(self) -> None:
        if not self.sealed:
            return
        from brainslice.tables import parquet  # noqa: PLC0415 - pyarrow is an extra

        if self.journal.stat().st_size or not self.output.exists():
            parquet.write_parquet(self.output, self.journal, self.asked.labels)
        self.journal.unlink()


def _row(answered: AnswerRow, predictor: Predictor, each: Callable[[Path, Prediction], None] | None) -> Row:
    path, answer = answered
    if each is not None and isinstance(answer, Prediction):
        each(path, answer)
    return row_of(path, answer, predictor)
