"""What was found at another site, as tables and as pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from brainslice.evaluation.external_validation import ComparisonRow, ExternalValidation
from brainslice.files import write_json, write_text
from brainslice.metrics.binary import BinaryScores
from brainslice.metrics.comparison import format_p_value
from brainslice.metrics.source_controlled import SourceControlled
from brainslice.report.captions import warning_stamp
from brainslice.report.documents import Table, format_score

_DASH = "–"
_HEADER = ("", "AUC", "sensitivity", "specificity", "FN", "FP", "accuracy", "source F1", "McNemar")


def comparison_table(title: str, entries: Sequence[ComparisonRow], footnotes: Sequence[str] = ()) -> Table:
    """Lay contestants below each other; what must be known of each stands in the footnotes.

    Args:
        title: What it shows.
        entries: The first is what the others are tested against.
        footnotes: What must be known besides.
    """
    rows = tuple(
        (
            entry.name,
            *_scores(entry.scores),
            _DASH if entry.source_macro_f1 is None else f"{entry.source_macro_f1:.3f}",
            _DASH if entry.against_first is None else format_p_value(entry.against_first.p_value),
        )
        for entry in entries
    )
    notes = [f"{entry.name}: {entry.note}." for entry in entries]
    said = f"Brackets: 95 % intervals by group. McNemar: right and wrong calls against {entries[0].name!r}."
    return Table(title, _HEADER, rows, (*footnotes, said, *notes, "Research use only."))


def curve_table(points: Sequence[tuple[int | None, BinaryScores]]) -> Table:
    """Say what how many labelled scans of a site were enough for."""
    rows = tuple(
        ("all others" if count is None else str(count), found.auc.text, found.sensitivity.text, found.specificity.text)
        for count, found in points
    )
    said = "Each scan is judged by a model trained on this many scans of other folds, another draw a fold; "
    note = said + "tumour from P(tumour) = 0.5, settings that no scan chose."
    return Table("How many labelled scans are enough", ("labelled", "AUC", "sensitivity", "specificity"), rows, (note,))


def external_tables(found: ExternalValidation) -> tuple[Table, ...]:
    """Tell what bundles came to at another site."""
    notes = [*(warning_stamp(mark) for mark in found.warnings), *found.site.summary_lines()]
    for name, scores in found.classes.items():
        notes.append(f"{name}, by class: accuracy {scores['accuracy']:.3f}, macro F1 {scores['macro_f1']:.3f}.")
    comparison = comparison_table(f"Scans of another site: {found.site.name}", found.entries, notes)
    controlled = [_source_controlled_table(name, tests) for name, tests in found.source_controlled.items()]
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
    return Table(
        title, ("data", "score", "value", "n", "patients"), rows, (*counts, "Brackets: 95 % intervals by patient.")
    )


def site_table(told: Mapping[str, Any]) -> Table:
    """Lay out what ``write_external`` wrote as JSON, in short.

    Args:
        told: The contents of that file.
    """
    header = ("", "AUC", "sensitivity", "specificity", "FN", "FP")
    rows = tuple(
        (
            entry["name"],
            *(format_score(entry[name]) for name in ("auc", "sensitivity", "specificity")),
            str(entry["false_negatives"]),
            str(entry["false_positives"]),
        )
        for entry in told["entries"]
    )
    counted = f"n = {told['n']} pictures ({told['tumours']} tumours) of {told['groups']} groups."
    notes = (*(warning_stamp(mark) for mark in told["warnings"]), counted, "Adapted bundles: out-of-fold answers.")
    return Table(f"Scans of another site: {told['site']}", header, rows, notes)


def write_external(found: ExternalValidation, folder: Path) -> tuple[Path, Path]:
    """Write what bundles came to, as JSON and as a page, each whole or not at all.

    Returns:
        The JSON file and the page.
    """
    return _write(folder / found.site.name, found.to_json(), external_tables(found))


def write_adaptation(folder: Path, name: str, told: Mapping[str, Any], tables: Sequence[Table]) -> tuple[Path, Path]:
    """Write what an adaptation came to, as JSON and as a page, each whole or not at all."""
    return _write(folder / f"{name}_adaptation", dict(told), tables)


def _write(stem: Path, told: dict[str, Any], tables: Sequence[Table]) -> tuple[Path, Path]:
    data, page = stem.with_name(f"{stem.name}.json"), stem.with_name(f"{stem.name}.md")
    write_text(page, "\n".join(_markdown(table) for table in tables))
    write_json(data, told)
    return data, page


def _markdown(table: Table) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (table.header, ["---"] * len(table.header), *table.rows)]
    return "\n".join([f"# {table.title}", "", *lines, "", *(f"- {note}" for note in table.footnotes), ""])


def _scores(scores: BinaryScores) -> tuple[str, ...]:
    return (
        scores.auc.text,
        scores.sensitivity.text,
        scores.specificity.text,
        str(scores.false_negatives),
        str(scores.false_positives),
        scores.accuracy.text,
    )
