"""Results of a robustness sweep as a table, JSON and a figure."""

from __future__ import annotations

from pathlib import Path

from brainslice.evaluation import Condition, Robustness
from brainslice.files import write_json, write_text
from brainslice.report.documents import Table, warning_stamp
from brainslice.report.figures.robustness import draw_robustness

_COLUMNS = ("accuracy", "accuracy_change", "ece", "referred", "accuracy_answered")


def robustness_table(result: Robustness) -> Table:
    """Tabulate the scores under each change, a row each."""
    rows = tuple(_row(each) for each in (result.plain, *result.conditions))
    scans = result.scans
    opened = () if result.test_accesses is None else (f"Test scans opened: {result.test_accesses} times.",)
    units = dict.fromkeys(each.corruption for each in result.conditions if each.corruption is not None)
    footnotes = (
        *map(warning_stamp, result.warnings),
        f"n = {len(scans.labels)} scans in each row. Brackets: intervals at {result.level:.0%}, by group.",
        "Change of the accuracy: scan by scan, against the scans as they are.",
        *opened,
        *(f"{each.name}: {each.unit}." for each in units),
        "Research use only.",
    )
    header = ("change", "severity", "amount", "accuracy", "its change", "ECE", "referred", "accuracy of the rest")
    return Table(f"Robustness of {result.bundle[0]}: {scans.description}", header, rows, footnotes)


def _row(condition: Condition) -> tuple[str, ...]:
    name = "none" if condition.corruption is None else condition.corruption.name
    amount = "–" if condition.amount is None else f"{condition.amount:g}"
    scores = (condition.score(each) for each in _COLUMNS)
    return (name, str(condition.severity), amount, *(each.text for each in scores))


def write_robustness(result: Robustness, folder: Path, site: str | None = None) -> Path:
    """Write ``robustness`` as JSON, text, PNG and SVG; return the JSON file, which is written last.

    Args:
        result: The results.
        folder: The folder of reports.
        site: The name of the folder scored, appended to the files' names; None for test scans.

    Raises:
        ResourceError: The disk is full.
    """
    stem = folder / (f"robustness_{site}" if site else "robustness")
    write_text(stem.with_name(f"{stem.name}.txt"), robustness_table(result).text)
    draw_robustness(result, stem)
    path = stem.with_name(f"{stem.name}.json")
    write_json(path, result.to_json(), "robustness")
    return path
