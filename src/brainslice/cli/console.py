"""What a person sees: progress on a terminal, plain lines in a file."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

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
"""Progress and complaints, so that results can be piped."""


def print_line(line: str) -> None:
    """Print a line of the result; square brackets in it mean themselves."""
    OUT.print(line, markup=False)


def print_note(line: str) -> None:
    """Print a line about the work, beside the result."""
    ERR.print(line, markup=False)


_UNBROKEN = 240


def table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table whose first column names the rows."""
    drawn = Table(title=escape(title), title_justify="left", show_edge=False)
    for place, name in enumerate(header):
        drawn.add_column(escape(name), justify="right" if place else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*map(escape, row))
    # Where nobody looks, as in a file, nothing is gained by breaking cells at the 80th column.
    (OUT if OUT.is_terminal else Console(highlight=False, width=_UNBROKEN)).print(drawn)


@contextmanager
def progress_bars() -> Iterator[progress.Progress]:
    """Show progress while the block runs: bars with the time left on a terminal, a line a step elsewhere."""
    if ERR.is_terminal:
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
