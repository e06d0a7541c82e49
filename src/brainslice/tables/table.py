"""Tables of predictions, written scan by scan; an interrupted table is resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import islice, tee
from pathlib import Path
from typing import Final, TypeAlias

from brainslice.errors import UsageError
from brainslice.inference import BATCH, Prediction, Predictor, Refusal
from brainslice.lazy import require_extra
from brainslice.lock import exclusive_lock
from brainslice.progress import Progress, silent
from brainslice.remote import ScanPath
from brainslice.scan import SkippedFiles
from brainslice.tables.case_names import CaseNames
from brainslice.tables.columns import Row, row_of
from brainslice.tables.journal import (
    ResumedRows,
    RunSettings,
    append_rows,
    check_resumable,
    comma_separated,
    json_lines,
    read_rows,
)
from brainslice.tables.scan_listing import fingerprint, list_scans

AnswerRow: TypeAlias = tuple[ScanPath, Prediction | Refusal]
"""A path with its prediction or refusal."""

ENDINGS: Final = (".jsonl", ".csv", ".parquet")
"""The suffixes of tables, one for each format."""


@dataclass(frozen=True, slots=True)
class TableOptions:
    """How a table is written.

    Attributes:
        overwrite: Whether to replace an existing table.
        names: How rows name scans.
        each: Called with each name as a path and each prediction before its row is written.
    """

    overwrite: bool = False
    names: CaseNames = field(default_factory=CaseNames)
    each: Callable[[ScanPath, Prediction], None] | None = None


@dataclass(frozen=True, slots=True)
class TableSummary:
    """The contents of a finished table.

    Attributes:
        rows: The number of rows, including those of earlier runs.
        refused: The number of refusals among them.
        kept: The number of rows of earlier runs.
        repaired: Whether an incomplete last line of an earlier run was removed.
        skipped: The files in folders that are no scans, in one line; empty for none.
    """

    rows: int
    refused: int
    kept: int
    repaired: bool
    skipped: str = field(default="", compare=False)


def predict_paths(
    predictor: Predictor,
    paths: Iterable[ScanPath],
    progress: Progress = silent,
    done: AbstractSet[bytes] = frozenset(),
    skipped: SkippedFiles | None = None,
    names: CaseNames = CaseNames(),  # noqa: B008 - immutable
) -> Iterator[AnswerRow]:
    """Predict every scan in files and folders, in a fixed order.

    Args:
        predictor: The predictor.
        paths: Files and folders; the total of an iterator is unknown.
        progress: Called with step, done and total.
        done: Fingerprints of the names to leave out.
        skipped: Counts the files in folders that are no scans.
        names: How scans are named.

    Yields:
        Each name as a path, with its prediction or refusal.

    Raises:
        UsageError: A folder holds no scans, or two scans have one pseudonym.
        BundleError: The output of the model is invalid.
    """

    def remaining(counted: SkippedFiles | None = None) -> Iterator[ScanPath]:
        listed = names.unique(list_scans(paths, counted or names.skipped_files()))
        return (path for path in listed if not done or fingerprint(names.of(path)) not in done)

    total = 0 if isinstance(paths, Iterator) else sum(1 for _ in remaining())
    submitted, listed = tee(remaining(skipped))
    for number, pair in enumerate(zip(listed, predictor.predict_many(submitted), strict=True), start=1):
        yield names.rename(*pair)
        progress("predict", number, max(number, total))


def predict_tree(
    predictor: Predictor,
    paths: Iterable[ScanPath],
    output: Path,
    options: TableOptions = TableOptions(),
    progress: Progress = silent,
) -> TableSummary:
    """Predict every scan in files and folders, and write a table with a row for each.

    Rows are written batch by batch. A later run with the same table keeps them, removes an incomplete last line, and
    predicts the scans without a row, also those added to a folder since.

    Args:
        predictor: The predictor.
        paths: Files and folders.
        output: The table: ``.jsonl``, ``.csv`` or ``.parquet``. The rows of a Parquet table are collected in
            ``OUTPUT.part`` until it is complete.
        options: How the table is written.
        progress: Called with step, done and total.

    Raises:
        UsageError: The suffix is unknown, pyarrow is missing, a folder holds no scans, two scans have one pseudonym,
            the table has another format or rows of another bundle, threshold, frame or naming, or another process is
            writing to it.
        ResourceError: The disk is full.
    """
    names, skipped = options.names, options.names.skipped_files()
    table = _Table(output, _run_settings(predictor, names))
    with exclusive_lock(output.with_name(f".{output.name}.lock"), f"writing {output.name}"):
        kept, length = (ResumedRows(), 0) if options.overwrite else table.resume()
        before = kept.rows
        predictions = predict_paths(predictor, paths, progress, kept.done, skipped, names)
        # The first batch is predicted before files are changed, so that an invalid call leaves an older table as it is.
        batch = list(islice(predictions, BATCH))
        if options.overwrite:
            delete_table(output)
        with append_rows(table.journal, table.lines, length) as append:
            while batch:
                rows = [_row(pair, predictor, options.each) for pair in batch]
                append(rows)
                for row in rows:
                    kept.add(row)
                batch = list(islice(predictions, BATCH))
        table.finish()
    return TableSummary(kept.rows, kept.refused, before, kept.repaired, skipped.summary)


def delete_table(output: Path) -> None:
    """Delete a table, and the journal of an interrupted Parquet table."""
    output.unlink(missing_ok=True)
    _journal(output).unlink(missing_ok=True)


def _journal(output: Path) -> Path:
    """Return the file that rows are written to first: for Parquet a file of JSON lines beside it, else the table."""
    return output.with_name(f"{output.name}.part") if output.suffix.casefold() == ".parquet" else output


class _Table:
    """The files of a table: the output and, for Parquet, a journal of JSON lines."""

    def __init__(self, output: Path, settings: RunSettings) -> None:
        suffix = output.suffix.casefold()
        if suffix not in ENDINGS:
            msg = f"{output}: a table must end in {', '.join(ENDINGS)}, got {suffix or 'no suffix'}"
            raise UsageError(msg)
        self.output, self.settings = output, settings
        self.is_parquet = suffix == ".parquet"
        if self.is_parquet:
            require_extra("parquet", f"{output}: Parquet", "pyarrow")
        self.journal = _journal(output)
        self.lines = comma_separated(settings.labels) if suffix == ".csv" else json_lines()

    def resume(self) -> tuple[ResumedRows, int]:
        kept, length = read_rows(self.journal, self.lines, self.settings)
        if not self.is_parquet or not self.output.exists():
            return kept, length
        from brainslice.tables import parquet  # noqa: PLC0415 - pyarrow is an extra

        written = ResumedRows(repaired=kept.repaired)
        for row in parquet.rows_in(self.output, self.settings.labels):
            check_resumable(self.output, row, self.settings)
            written.add(row)
        # A run killed between writing the table and deleting the journal leaves its rows in both.
        return (written, 0) if written.done & kept.done else (written.merge(kept), length)

    def finish(self) -> None:
        if not self.is_parquet:
            return
        from brainslice.tables import parquet  # noqa: PLC0415 - pyarrow is an extra

        if self.journal.stat().st_size or not self.output.exists():
            parquet.write_parquet(self.output, self.journal, self.settings.labels)
        self.journal.unlink()


def _run_settings(predictor: Predictor, names: CaseNames) -> RunSettings:
    info = predictor.bundle.info
    return RunSettings(predictor.bundle.labels, info.digest, predictor.threshold, predictor.frame, names.key_id)


def _row(pair: AnswerRow, predictor: Predictor, each: Callable[[ScanPath, Prediction], None] | None) -> Row:
    path, answer = pair
    if each is not None and isinstance(answer, Prediction):
        each(path, answer)
    return row_of(path, answer, predictor)
