"""Console output: results, notes, tables, JSON and progress."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from brainslice import progress
from brainslice.decision import Verdict
from brainslice.files import SCHEMA

if TYPE_CHECKING:
    from rich import progress as bars
    from rich.console import Console

    from brainslice.bundle import ModelBundle
    from brainslice.report import Table as ReportTable

RESEARCH_ONLY: Final = "for research only; a person qualified to read scans decides"

_UNBROKEN: Final = 240
_NARROW: Final = 100
_STYLES: Final = {
    Verdict.TUMOUR: "bold red",
    Verdict.NO_TUMOUR: "bold green",
    Verdict.REFER: "bold yellow",
    Verdict.CLASS: "bold",
}
_bars_shown = False


@cache
def console(*, stderr: bool = False) -> Console:
    """Make the console of results, or of progress and notes, so that results can be piped."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True, emoji=False)


def print_line(line: str, style: str | Verdict | None = None) -> None:
    """Print a line of the result, in a rich style or a verdict's colour on a terminal."""
    colour = _STYLES[style] if isinstance(style, Verdict) else style
    _results().print(line, markup=False, style=colour)


def print_note(line: str) -> None:
    """Print a line about the work on standard error; not with ``-q``."""
    console(stderr=True).print(line, markup=False)


def print_error(line: str) -> None:
    """Print an error on standard error, above the progress; also with ``-q``."""
    notes = console(stderr=True)
    quiet, notes.quiet = notes.quiet, False
    print_note(line)
    notes.quiet = quiet


def print_fields(heading: str, fields: Iterable[tuple[str, str]], style: str | Verdict | None = None) -> None:
    """Print a heading and below it a line for each name and value, the values aligned."""
    lines = list(fields)
    width = max((len(name) for name, _ in lines), default=0)
    print_line(heading, style)
    for name, value in lines:
        print_line(f"  {name:<{width}}  {value}")


def print_json(kind: str, values: Mapping[str, Any], indent: int | None = None) -> None:
    """Print an object as JSON, with the version of its schema first."""
    unicode = (sys.stdout.encoding or "").casefold().replace("-", "") == "utf8"
    text = json.dumps({"schema": SCHEMA.format(kind), **values}, indent=indent, ensure_ascii=not unicode)
    if _above_bars():
        console(stderr=True).print(text, markup=False)
    else:
        sys.stdout.write(f"{text}\n")


def in_brackets(warnings: Sequence[str]) -> str:
    """Format a model's warnings to follow a name; empty without any."""
    return f" [{', '.join(warnings)}]" if warnings else ""


def print_bundle(bundle: ModelBundle, notes: Iterable[str], selected: str) -> None:
    """Print the notes on a new bundle, its folder, and its metrics on validation scans.

    ``selected`` names what these scans have chosen.
    """
    info, checked = bundle.info, bundle.info.validation
    for line in notes:
        print_note(line)
    print_line(f"bundle{in_brackets(info.warnings)}: {bundle.folder}")
    print_line(
        f"validation ({info.provenance.protocol}, n = {checked.n}, {selected}): "
        f"accuracy {checked.accuracy:.3f}, ECE {checked.ece:.3f}, temperature {info.temperature:.3f}"
    )


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


def print_report(shown: ReportTable) -> None:
    """Print a table of a report with its footnotes."""
    print_table(shown.title, shown.header, shown.rows)
    for line in shown.footnotes:
        print_line(line)


def print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table whose first column names the rows; below 100 columns, a block for each row."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    results = console()
    if results.is_terminal and results.width < _NARROW and len(header) > 2:  # noqa: PLR2004 - a name and its value fit always
        print_line(title, style="bold")
        for row in rows:
            print_fields(row[0], zip(header[1:], row[1:], strict=True), style="bold")
        return
    drawn = Table(title=escape(title), title_justify="left", show_edge=False)
    for place, name in enumerate(header):
        drawn.add_column(escape(name), justify="right" if place else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*map(escape, row))
    # In a file, cells are not broken at the 80th column.
    (_results() if results.is_terminal else Console(highlight=False, width=_UNBROKEN, emoji=False)).print(drawn)


@contextmanager
def progress_bars(*, rows: bool = False) -> Iterator[progress.Progress]:
    """Show progress while the block runs: bars with the time left on a terminal, a line for each step elsewhere.

    A block that prints ``rows`` to a terminal needs none.
    """
    global _bars_shown  # noqa: PLW0603 - as there is one terminal
    notes = console(stderr=True)
    if notes.quiet or (rows and console().is_terminal):
        yield progress.silent
    elif not notes.is_terminal:
        yield _Lines()
    else:
        from rich import progress as bars

        columns = (bars.BarColumn(), bars.MofNCompleteColumn(), bars.TimeElapsedColumn(), bars.TimeRemainingColumn())
        # rich would send all of standard output to standard error, also where it is a file.
        with bars.Progress("{task.description}", *columns, console=notes, redirect_stdout=False) as shown:
            _bars_shown = True
            try:
                yield _Bars(shown)
            finally:
                _bars_shown = False


def _results() -> Console:
    """Choose where results go: above the bars where both share a terminal, else to standard output."""
    return console(stderr=_above_bars())


def _above_bars() -> bool:
    return _bars_shown and console().is_terminal


class _Bars:
    def __init__(self, shown: bars.Progress) -> None:
        self._bars = shown
        self._tasks: dict[str, bars.TaskID] = {}

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
