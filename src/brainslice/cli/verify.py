"""Commands ``verify`` and ``reproduce``: the figures in the documents of a checkout, and what made them."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from brainslice.cli.console import print_line
from brainslice.cli.options import Root
from brainslice.errors import DatasetError, UsageError


def verify(root: Root = Path()) -> None:
    """Compare the figures in the documents of a checkout with its results files.

    Exit code 3 where a document states something else, or an interval is bound to no results file.
    """
    from brainslice.report import RESULTS_FOLDER, check_documents

    count, problems = check_documents(root)
    for problem in problems:
        print_line(problem)
    if problems:
        msg = (
            f"{len(problems)} figures in documents differ from {root / RESULTS_FOLDER}; correct them, or measure again"
        )
        raise DatasetError(msg)
    print_line(f"{count} figures in documents agree with {root / RESULTS_FOLDER}")


def reproduce(
    table: Annotated[str, typer.Argument(help="The name of a results file, such as shipped; none lists them.")] = "",
    root: Root = Path(),
    run: Annotated[bool, typer.Option("--run", help="Run the commands instead of printing them.")] = False,
) -> None:
    """Print the commands that made the figures of a table, or run them."""
    from brainslice.report import read_results

    tables = read_results(root)
    if not table:
        for name, results in tables.items():
            print_line(f"{name}: {results.title}")
        return
    if table not in tables:
        msg = f"there is no table {table!r}; choose one of {', '.join(tables)}"
        raise UsageError(msg)
    for line in tables[table].command:
        print_line(line)
        program, *words = shlex.split(line, comments=True) or ("#",)
        if run and program == "brainslice":
            finished = subprocess.run([sys.executable, "-m", "brainslice.cli.main", *words], check=False)  # noqa: S603 - our own commands
            if finished.returncode:
                raise SystemExit(finished.returncode)
