"""Console output: results, notes, tables, JSON and progress."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from brainslice import progress

OUT = Console(highlight=False, soft_wrap=True)
"""Results."""

ERR = Console(stderr=True, highlight=False, soft_wrap=True)
"""Progress and notes, so that results can be piped."""

SCHEMA_VERSION: Final = 1
"""The version of every JSON object that a command prints; it grows when a key changes its meaning."""

_UNBROKEN: Final = 240
_NARROW: Final = 100


def print_line(line: str, style: str | None = None) -> None:
    """Print a line of the result, in a rich style on a terminal; square brackets in it are no markup."""
    OUT.print(line, markup=False, style=style)


def print_note(line: str) -> None:
    """Print a line about the work on standard error; not with ``-q``."""
    ERR.print(line, markup=False)


def print_json(kind: str, values: Mapping[str, Any], indent: int | None = None) -> None:
    """Print an object as JSON, with its schema ``brainslice/<kind>/<version>`` first."""
    text = {"schema": f"brainslice/{kind}/{SCHEMA_VERSION}", **values}
    unicode = (sys.stdout.encoding or "").casefold().replace("-", "") == "utf8"
    sys.stdout.write(json.dumps(text, indent=indent, ensure_ascii=not unicode) + "\n")


def can_print(text: str) -> bool:
    """Check whether standard output can encode a text."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def replace_unprintable() -> None:
    """Replace characters that standard output or error cannot encode, so that no command fails on one."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table whose first column names the rows; below 100 columns, a block for each row."""
    lines = [list(row) for row in rows]
    if OUT.is_terminal and OUT.width < _NARROW and len(header) > 2:  # noqa: PLR2004 - a name and its value fit always
        _print_blocks(title, header, lines)
        return
    drawn = Table(title=escape(title), title_justify="left", show_edge=False)
    for place, name in enumerate(header):
        drawn.add_column(escape(name), justify="right" if place else "left", overflow="fold")
    for row in lines:
        drawn.add_row(*map(escape, row))
    # In a file, cells are not broken at the 80th column.
    (OUT if OUT.is_terminal else Console(highlight=False, width=_UNBROKEN)).print(drawn)


def _print_blocks(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    width = max(map(len, header))
    print_line(title, style="bold")
    for row in rows:
        print_line(row[0], style="bold")
        for name, cell in zip(header[1:], row[1:], strict=True):
            print_line(f"  {name:<{width}}  {cell}")


@contextmanager
def progress_bars() -> Iterator[progress.Progress]:
    """Show progress while the block runs: bars with the time left on a terminal, a line for each step elsewhere."""
    if ERR.quiet:
        yield progress.silent
    elif ERR.is_terminal:
        with _bars() as bars:
            yield _Bars(bars)
    else:
        yield _Lines()


def _bars() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=ERR,
    )


class _Bars:
    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, step: str, done: int, total: int) -> None:
        task = self._tasks.get(step)
        if task is None or (self._bars.tasks[task].finished and done < total):
            task = self._tasks[step] = self._bars.add_task(step, total=total)
        self._bars.update(task, completed=done, total=total)


class _Lines:
    def __init__(self) -> None:
        self._tenth: dict[str, int] = {}

    def __call__(self, step: str, done: int, total: int) -> None:
        tenth = 10 if total <= 0 else 10 * done // total
        if tenth != self._tenth.get(step):
            self._tenth[step] = tenth
            sys.stderr.write(f"{step}: {done}/{total}\n")
            sys.stderr.flush()
