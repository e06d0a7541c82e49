"""Results on external sites as tables, JSON and Markdown pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainslice.evaluation import ComparisonRow, ExternalValidation
from brainslice.files import write_json, write_text
from brainslice.metrics import BinaryScores, SourceControlled, format_p_value
from brainslice.report.documents import Table, format_score, warning_stamp

if TYPE_CHECKING:
    from brainslice.training import AdaptationResult

_DASH = "–"
_HEADER = ("", "AUC", "sensitivity", "specificity", "FN", "FP", "accuracy", "source F1", "McNemar")


def comparison_table(title: str, entries: Sequence[ComparisonRow], footnotes: Sequence[str] = ()) -> Table:
    """Compare methods, a row each, with a footnote on each.

    Args:
        title: The line above the table.
        entries: The first is the reference of McNemar's tests.
        footnotes: Further lines, which come first.
    """
    rows = tuple(
        (
            entry.name,
            *_cells(entry.scores),
            entry.scores.accuracy.text,
            _DASH if entry.source_macro_f1 is None else f"{entry.source_macro_f1:.3f}",
            _DASH if entry.against_first is None else format_p_value(entry.against_first.p_value),
        )
        for entry in entries
    )
    notes = [f"{entry.name}: {entry.note}." for entry in entries]
    legend = f"Brackets: 95 % intervals by group. McNemar: correct and wrong predictions against {entries[0].name!r}."
    return Table(title, _HEADER, rows, (*footnotes, legend, *notes, "Research use only."))


def curve_table(points: Sequence[tuple[int | None, BinaryScores]]) -> Table:
    """Tabulate the learning curve: metrics by number of labelled scans, None for all of the other folds."""
    rows = tuple(("all others" if count is None else str(count), *_cells(scores)[:3]) for count, scores in points)
    note = (
        "Each scan is predicted by a model trained on this many scans of other folds, drawn anew for each fold; "
        "tumour from P(tumour) = 0.5, settings that no scan chose."
    )
    return Table("How many labelled scans are enough", ("labelled", *_HEADER[1:4]), rows, (note,))


def external_tables(result: ExternalValidation) -> tuple[Table, ...]:
    """Tabulate the results of bundles on an external site."""
    notes = [*map(warning_stamp, result.warnings), *result.site.summary_lines()]
    for name, scores in result.classes.items():
        notes.append(f"{name}, by class: accuracy {scores['accuracy']:.3f}, macro F1 {scores['macro_f1']:.3f}.")
    comparison = comparison_table(f"Scans of another site: {result.site.name}", result.entries, notes)
    controlled = [_source_controlled_table(name, tests) for name, tests in result.source_controlled.items()]
    return (*controlled, comparison)


def _source_controlled_table(name: str, tests: Sequence[SourceControlled]) -> Table:
    rows = tuple(
        (test.name, score.name.replace("_", " "), score.text, str(score.n), str(score.groups))
        for test in tests
        for score in test.scores
    )
    counts = [
        f"{test.name}, {count.replace('_', ' ')}: {value}." for test in tests for count, value in test.counts.items()
    ]
    title = f"Source-controlled test of {name}: slices with and without tumour of the same patients"
    header = ("data", "score", "value", "n", "patients")
    return Table(title, header, rows, (*counts, "Brackets: 95 % intervals by patient."))


def site_table(report: Mapping[str, Any]) -> Table:
    """Summarise the JSON that ``write_external`` wrote, given as plain types."""
    rows = tuple(
        (
            entry["name"],
            *(format_score(entry[name]) for name in ("auc", "sensitivity", "specificity")),
            str(entry["false_negatives"]),
            str(entry["false_positives"]),
        )
        for entry in report["entries"]
    )
    counts = f"n = {report['n']} scans ({report['tumours']} tumours) of {report['groups']} groups."
    notes = (*map(warning_stamp, report["warnings"]), counts, "Adapted bundles: out-of-fold predictions.")
    return Table(f"Scans of another site: {report['site']}", _HEADER[:6], rows, notes)


def write_external(result: ExternalValidation, folder: Path) -> tuple[Path, Path]:
    """Write the results of bundles on an external site; return the JSON file and the Markdown page."""
    return _write(folder / result.site.name, result.to_json(), external_tables(result), "external-site")


def adaptation_tables(adapted: AdaptationResult) -> list[Table]:
    """List the comparison of methods, and the learning curve where there is one."""
    notes = (*map(warning_stamp, adapted.bundle.info.warnings), *adapted.site)
    tables = [comparison_table("Ways to another site, out of fold", adapted.entries, notes)]
    if adapted.curve:
        tables.append(curve_table([(point.labelled, point.scores) for point in adapted.curve]))
    return tables


def write_adaptation(folder: Path, name: str, report: Mapping[str, Any], tables: Sequence[Table]) -> tuple[Path, Path]:
    """Write the results of an adaptation; return the JSON file and the Markdown page."""
    return _write(folder / f"{name}_adaptation", dict(report), tables, "adaptation")


def _write(stem: Path, report: dict[str, Any], tables: Sequence[Table], schema: str) -> tuple[Path, Path]:
    data, page = stem.with_name(f"{stem.name}.json"), stem.with_name(f"{stem.name}.md")
    write_text(page, "\n".join(_markdown(table) for table in tables))
    write_json(data, report, schema)
    return data, page


def _markdown(table: Table) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (table.header, ["---"] * len(table.header), *table.rows)]
    return "\n".join([f"# {table.title}", "", *lines, "", *(f"- {note}" for note in table.footnotes), ""])


def _cells(scores: BinaryScores) -> tuple[str, ...]:
    metrics = (scores.auc, scores.sensitivity, scores.specificity)
    return (*(score.text for score in metrics), str(scores.false_negatives), str(scores.false_positives))
