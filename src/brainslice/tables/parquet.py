"""Parquet tables; the only module that imports pyarrow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final, NoReturn

import pyarrow as pa
from pyarrow import parquet

from brainslice.errors import UsageError
from brainslice.files import atomic_file
from brainslice.labels import LabelSet
from brainslice.tables.columns import Row, cells_of, columns_of, is_number

_ROWS: Final = 65_536
"""The number of rows in a row group, which bounds the memory."""


def schema_of(labels: LabelSet) -> pa.Schema:
    """Return the column types."""
    kinds = {name: pa.float64() if is_number(name) else pa.string() for name in columns_of(labels)}
    return pa.schema(kinds | {"frame": pa.int32(), "tumour": pa.bool_()})


def rows_in(path: Path, labels: LabelSet) -> Iterator[Row]:
    """Read the fields of each row that resuming needs.

    Raises:
        UsageError: The file is no table of these classes.
    """
    try:
        with parquet.ParquetFile(path) as file:
            if not file.schema_arrow.equals(schema_of(labels)):
                _raise_not_resumable(path, "its columns differ")
            for part in file.iter_batches(_ROWS, columns=["path", "frame", "threshold", "bundle", "refused"]):
                yield from part.to_pylist()
    except (pa.ArrowException, OSError) as error:
        _raise_not_resumable(path, " ".join(str(error).split())[:120])


def write_parquet(path: Path, journal: Path, labels: LabelSet) -> None:
    """Append the rows of a file of JSON lines to a table atomically; the table need not exist."""
    schema = schema_of(labels)
    with atomic_file(path) as temporary, parquet.ParquetWriter(temporary, schema, compression="zstd") as writer:
        if path.exists():
            with parquet.ParquetFile(path) as older:
                for part in older.iter_batches(_ROWS):
                    writer.write_batch(part)
        with journal.open(encoding="utf-8") as lines:
            while some := list(islice(lines, _ROWS)):
                cells = [cells_of(json.loads(line), labels) for line in some]
                writer.write_batch(pa.RecordBatch.from_pylist(cells, schema))


def _raise_not_resumable(path: Path, fault: str) -> NoReturn:
    msg = f"{path}: is no table of these classes ({fault}); give another --output, or replace it with --overwrite"
    raise UsageError(msg)
