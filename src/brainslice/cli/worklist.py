"""``brainslice worklist``: sort scans for review, the most uncertain first."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brainslice.cli.console import RESEARCH_ONLY, in_brackets, print_json, print_line, print_note, progress_bars
from brainslice.cli.options import (
    AsJson,
    BundleFolder,
    Pseudonymise,
    RequiredSignature,
    Root,
    Threshold,
    case_names,
    open_predictor,
)
from brainslice.decision import Verdict
from brainslice.errors import UnreadableScanError, UsageError

if TYPE_CHECKING:
    from brainslice.inference import Predictor
    from brainslice.tables import WorklistRow


def worklist(
    scans: Annotated[list[Path], typer.Argument(help="Scan files, or folders of them, to any depth.")],
    root: Root = Path(),
    bundle: BundleFolder = None,
    review_budget: Annotated[
        float, typer.Option("--review-budget", metavar="SHARE", help="The share of scans a person has time for.")
    ] = 0.1,
    threshold: Threshold = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
    require_signature: RequiredSignature = None,
    pseudonymise: Pseudonymise = None,
) -> None:
    """Sort scans into a worklist, the most uncertain first.

    The share of the budget is marked for a person. Files that cannot be read come first, beyond the budget.
    """
    from brainslice.tables import make_worklist

    if as_json and as_csv:
        msg = "--json and --csv exclude each other; give one of them"
        raise UsageError(msg)
    predictor = open_predictor(root, bundle, threshold, key=require_signature)
    names = case_names(pseudonymise, scans)
    skipped = names.skipped_files()
    with progress_bars() as progress:
        cases = make_worklist(predictor, scans, review_budget, progress, skipped, names)
    if skipped.summary:
        print_note(skipped.summary)
    if as_csv:
        _print_table(cases, predictor)
    for case in () if as_csv else cases:
        _print_case(case, as_json)
    if not (as_json or as_csv):
        _print_counts(cases)
    unread = sum(case.uncertainty is None for case in cases)
    if unread:
        msg = f"{unread} of {len(cases)} files could not be read; they are listed first"
        raise UnreadableScanError(msg)


def _print_case(case: WorklistRow, as_json: bool) -> None:
    if as_json:
        print_json("worklist", case.to_json())
        return
    mark, row = "review" if case.review else "", case.row
    if case.uncertainty is None:
        print_line(f"{mark:<6}  unread             {row['refused']}", style="bold yellow")
        return
    why = "".join(f"; {reason['message']}" for reason in row["reasons"])
    print_line(
        f"{mark:<6}  uncertainty {case.uncertainty:5.3f}  {row['verdict']:<9}  {row['class'] or '-':<10}  {row['path']}"
        f"{in_brackets(row['warnings'])}{why}",
        Verdict(row["verdict"]),
    )


def _print_table(cases: tuple[WorklistRow, ...], predictor: Predictor) -> None:
    from brainslice.tables import cells_of, columns_of

    labels = predictor.bundle.labels
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("review", "doubt", *columns_of(labels)))
    for case in cases:
        writer.writerow((case.review, case.uncertainty, *cells_of(case.row, labels).values()))


def _print_counts(cases: tuple[WorklistRow, ...]) -> None:
    marked = sum(case.review for case in cases)
    later = sum(case.row.get("verdict") == Verdict.REFER and not case.review for case in cases)
    print_note(f"{marked} of {len(cases)} scans are marked for review by a person")
    if later:
        print_note(f"{later} more are referred to a person by their verdict; a larger --review-budget takes them in")
    print_note(RESEARCH_ONLY)
