"""What an evaluation says, as text and as JSON, and both protocols side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from brainslice.errors import DatasetError
from brainslice.metrics.comparison import format_p_value
from brainslice.metrics.evaluation import HEADLINES, Evaluation
from brainslice.metrics.scoring import TITLES
from brainslice.metrics.source_controlled import TWINS
from brainslice.report.captions import class_title, warning_stamp

FORMAT = 1
"""The layout of ``report.json`` that this version writes and reads."""

_METRICS = {"ece": "ECE", "mce": "MCE", "brier": "BrierScore", "nll": "NLL", "classwise_ece": "ClasswiseECE"}
_COMPARED = ("accuracy", "macro_f1", "balanced_accuracy", "tumour_auc", "ece")
_TWIN_SCORES = {
    "lesion_twin_scores_higher": "mirror twins: lesion twin scores higher",
    "twin_auc": "mirror twins: AUC",
    "sham_changes_answer": "mirror twins: sham changes the answer",
}
_NOT_RUN = "not run"
_DASH = "–"


@dataclass(frozen=True, slots=True)
class Table:
    """A table as text cells.

    Attributes:
        title: What it shows.
        header: A name for each column; the first column names the rows.
        rows: Cells, as many in each row as there are columns.
        footnotes: What must be known to read it.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    footnotes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Align the columns by spaces: the first to the left, the others to the right."""
        grid = [self.header, *self.rows]
        widths = [max(len(row[place]) for row in grid) for place in range(len(self.header))]
        lines = [
            "  ".join(
                cell.rjust(width) if place else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in grid
        ]
        return "\n".join([self.title, "", *lines, "", *self.footnotes]).rstrip() + "\n"


def classification_report(evaluation: Evaluation, openings: int) -> str:
    """Write the report on each class by itself, then on all, then on the floor.

    Args:
        evaluation: What is told.
        openings: How often these test scans have been scored, this time included.
    """
    rows = [
        (
            class_title(row.name),
            row.precision.text,
            row.recall.text,
            row.f1.text,
            str(row.support),
            str(row.recall.groups),
        )
        for row in evaluation.classes
    ]
    header = ("class", "precision", "recall", "F1", "n", "groups")
    table = Table("Each class by itself", header, tuple(rows))
    warnings = [f"*** {warning_stamp(mark)} ***" for mark in evaluation.settings.warnings]
    return "\n".join([*warnings, *card_lines(evaluation, openings), "", table.text])


def card_lines(evaluation: Evaluation, openings: int) -> tuple[str, ...]:
    """Say what was found on the test scans, a line each, and how often they were looked at.

    Args:
        evaluation: What is told.
        openings: How often these test scans have been scored, this time included.
    """
    counted = f"test scans opened {_times(openings)}; brackets hold intervals by group"
    return (*evaluation.summary_lines(), counted)


def calibration_metrics(evaluation: Evaluation) -> dict[str, Any]:
    """Give the calibration errors: the value after the temperature by name, then both sides with intervals."""
    after = {_METRICS[score.name]: score for score in evaluation.scores if score.name in _METRICS}
    before = {_METRICS[score.name]: score for score in evaluation.scores_before}
    return {
        **{name: score.value for name, score in after.items()},
        "bins": evaluation.settings.bins,
        "temperature": evaluation.settings.temperature,
        **_circumstances(evaluation),
        "before": {name: score.to_json() for name, score in before.items()},
        "after": {name: score.to_json() for name, score in after.items()},
    }


def summary(evaluation: Evaluation, openings: int) -> dict[str, Any]:
    """Give the classes, the learned temperature and the headline numbers, the floor beside them.

    Args:
        evaluation: What is told.
        openings: How often these test scans have been scored, this time included.
    """
    floor = evaluation.baseline
    return {
        "classes": list(evaluation.settings.label_set.names),
        "temperature": evaluation.settings.temperature,
        "threshold": evaluation.settings.threshold,
        **_circumstances(evaluation),
        "test_openings": openings,
        "source_controlled": [test.to_json() for test in evaluation.source_controlled],
        "scores": {name: evaluation.score(name).to_json() for name in HEADLINES},
        "baseline": None if floor is None else floor.to_json(),
    }


def protocol_table(clean: dict[str, Any] | None, official: dict[str, Any] | None) -> Table:
    """Lay both protocols' results beside each other, so that nobody takes one for the other.

    Args:
        clean: The contents of the clean protocol's ``report.json``; None where it was not run.
        official: Those of the official protocol's, likewise.

    Raises:
        DatasetError: A report is of another format, or of the other protocol.
    """
    reports = (official, clean)
    for report, protocol in zip(reports, ("official", "clean"), strict=True):
        _refuse_strangers(report, protocol)
    rows = [
        (title, *(_twins_cell(report, name) for report in reports))
        for name, title in _TWIN_SCORES.items()
        if any(_twin_scores(report) for report in reports)
    ]
    rows += [(TITLES[name], *(_cell(report, "scores", name) for report in reports)) for name in _COMPARED]
    rows += [
        ("floor accuracy", *(_cell(report, "baseline", "scores", "accuracy") for report in reports)),
        ("McNemar, model and floor", *(_p_value(report, "p_value") for report in reports)),
        ("the same by group", *(_p_value(report, "p_value_by_group") for report in reports)),
        ("n (test scans)", *(_plain(report, "evaluation", "n") for report in reports)),
        ("groups", *(_plain(report, "evaluation", "groups") for report in reports)),
        ("test scans opened", *(_plain(report, "test_openings") for report in reports)),
        ("warnings", *(_marks(report) for report in reports)),
    ]
    found = [report for report in reports if report is not None]
    names = dict.fromkeys(report["evaluation"]["dataset"] for report in found)
    title = f"{' / '.join(names)}: the data set's own split (official) beside the one by group (clean)"
    return Table(title, ("", "official", "clean"), tuple(rows), _footnotes(found))


def _refuse_strangers(report: dict[str, Any] | None, protocol: str) -> None:
    if report is None:
        return
    if report.get("format") != FORMAT:
        msg = f"report.json must be of format {FORMAT}, got {report.get('format')!r}; run brainslice evaluate again"
        raise DatasetError(msg)
    found = report["evaluation"]["protocol"]
    if found != protocol:
        msg = f"the {protocol} protocol's report.json must say so, got {found!r}; run brainslice evaluate again"
        raise DatasetError(msg)


def _footnotes(reports: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    said = [report["evaluation"] for report in reports]
    marks = dict.fromkeys(mark for evaluation in said for mark in evaluation["warnings"])
    levels = dict.fromkeys(f"{evaluation['resampling']['level']:.0%}" for evaluation in said)
    bins = dict.fromkeys(str(evaluation["bins"]) for evaluation in said)
    return (
        *(warning_stamp(mark) for mark in marks),
        f"Brackets: intervals at {' / '.join(levels)}, groups taken as independent. ECE in {' / '.join(bins)} bins.",
        "Floor: a random forest on grey levels alone, trained on the model's training scans, tested on its test scans.",
        "Research use only.",
    )


def _circumstances(evaluation: Evaluation) -> dict[str, Any]:
    terms = evaluation.settings
    return {
        "dataset": terms.dataset,
        "protocol": terms.protocol,
        "split": terms.split,
        "warnings": list(terms.warnings),
        "n": evaluation.n,
        "groups": evaluation.groups,
    }


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _cell(report: dict[str, Any] | None, *path: str) -> str:
    if report is None:
        return _NOT_RUN
    score: Any = report["evaluation"]
    for key in path:
        score = score[key] if score is not None else None
    return _DASH if score is None else format_score(score)


def format_score(score: Mapping[str, Any]) -> str:
    """Spell value and interval of a score, as reports hold it in plain types, to three digits."""
    if score["value"] is None:
        return _DASH
    bounds = score["interval"]
    return f"{score['value']:.3f} " + (f"[{bounds['low']:.3f}, {bounds['high']:.3f}]" if bounds else "[no interval]")


def _twin_scores(report: dict[str, Any] | None) -> dict[str, Any]:
    tests = [] if report is None else report["evaluation"].get("source_controlled", [])
    return next((test["scores"] for test in tests if test["name"] == TWINS), {})


def _twins_cell(report: dict[str, Any] | None, name: str) -> str:
    if report is None:
        return _NOT_RUN
    score = _twin_scores(report).get(name)
    return _DASH if score is None else format_score(score)


def _p_value(report: dict[str, Any] | None, name: str) -> str:
    if report is None:
        return _NOT_RUN
    floor = report["evaluation"]["baseline"]
    value = None if floor is None else floor["mcnemar"][name]
    return _DASH if value is None else format_p_value(value)


def _plain(report: dict[str, Any] | None, *path: str) -> str:
    value: Any = report
    for key in path:
        value = value[key] if value is not None else None
    return _NOT_RUN if value is None else str(value)


def _marks(report: dict[str, Any] | None) -> str:
    return _NOT_RUN if report is None else ", ".join(report["evaluation"]["warnings"]) or "none"
