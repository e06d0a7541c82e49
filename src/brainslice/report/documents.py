"""Reports of an evaluation as text and JSON, and both protocols side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from brainslice.errors import DatasetError
from brainslice.labels import class_title
from brainslice.metrics import HEADLINES, TITLES, TWINS, Evaluation, format_p_value

FORMAT = 1
"""The format version of ``report.json``."""

WARNING_STAMPS = {
    "leaky": "LEAKY: related scans on both sides of the split",
    "phantom": "PHANTOM: drawn heads, not patients",
    "imported": "IMPORTED: trained elsewhere, perhaps on these test scans",
    "no_heat_map": "NO HEAT MAP: the network's last layers have no positions",
}
"""The text of each warning."""

_METRICS = {"ece": "ECE", "mce": "MCE", "brier": "BrierScore", "nll": "NLL", "classwise_ece": "ClasswiseECE"}
_COMPARED = ("accuracy", "macro_f1", "balanced_accuracy", "tumour_auc", "ece")
_TWIN_SCORES = {
    "lesion_twin_scores_higher": "mirror twins: lesion twin scores higher",
    "twin_auc": "mirror twins: AUC",
    "sham_changes_answer": "mirror twins: sham changes the answer",
}
_NOT_RUN = "not run"
_DASH = "–"

JsonObject = Mapping[str, Any]


def warning_stamp(warning: str) -> str:
    """Return the text of a warning; an unknown one in capitals."""
    return WARNING_STAMPS.get(warning, warning.upper())


def warning_text(warnings: Sequence[str]) -> str:
    """Return all warnings as sentences to append to a caption."""
    return "".join(f" {warning_stamp(warning)}." for warning in warnings)


def figure_caption(evaluation: Evaluation, description: str) -> str:
    """Append data set, protocol, split, number of scans and groups, and interval level to a description."""
    settings = evaluation.settings
    return (
        f"{description} Data: {settings.dataset}, {settings.protocol} protocol, {settings.split} scans, "
        f"n = {evaluation.n} of {evaluation.groups} groups. Intervals at {settings.level:.0%}, by group."
        f"{warning_text(settings.warnings)}"
    )


@dataclass(frozen=True, slots=True)
class Table:
    """A table as text cells.

    Attributes:
        title: The line above it.
        header: A name for each column; the first column names the rows.
        rows: Cells, as many in each row as there are columns.
        footnotes: Lines below it.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    footnotes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Align the columns by spaces: the first to the left, the others to the right."""
        grid = [self.header, *self.rows]
        first, *others = (max(map(len, column)) for column in zip(*grid, strict=True))
        lines = ["  ".join([row[0].ljust(first), *map(str.rjust, row[1:], others)]).rstrip() for row in grid]
        return "\n".join([self.title, "", *lines, "", *self.footnotes]).rstrip() + "\n"


def classification_report(evaluation: Evaluation, test_accesses: int) -> str:
    """Return the metrics of all classes together, then a table by class.

    Args:
        evaluation: The metrics.
        test_accesses: How often these test scans have been scored, this time included.
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
    table = Table("Metrics by class", ("class", "precision", "recall", "F1", "n", "groups"), tuple(rows))
    warnings = [f"*** {warning_stamp(warning)} ***" for warning in evaluation.settings.warnings]
    return "\n".join([*warnings, *card_lines(evaluation, test_accesses), "", table.text])


def card_lines(evaluation: Evaluation, test_accesses: int) -> tuple[str, ...]:
    """Return the results on the test scans, a line each, and how often these were scored."""
    times = "once" if test_accesses == 1 else f"{test_accesses} times"
    return (*evaluation.summary_lines(), f"test scans opened {times}; brackets hold intervals by group")


def calibration_metrics(evaluation: Evaluation) -> dict[str, Any]:
    """Return the calibration errors: values after the temperature by name, then before and after with intervals."""
    after = {_METRICS[score.name]: score for score in evaluation.scores if score.name in _METRICS}
    before = {_METRICS[score.name]: score for score in evaluation.scores_before}
    return {
        **{name: score.value for name, score in after.items()},
        "bins": evaluation.settings.bins,
        "temperature": evaluation.settings.temperature,
        **_data_description(evaluation),
        "before": {name: score.to_json() for name, score in before.items()},
        "after": {name: score.to_json() for name, score in after.items()},
    }


def summary(evaluation: Evaluation, test_accesses: int) -> dict[str, Any]:
    """Return classes, temperature, threshold, headline metrics and the baseline as plain types."""
    baseline = evaluation.baseline
    return {
        "classes": list(evaluation.settings.label_set.names),
        "temperature": evaluation.settings.temperature,
        "threshold": evaluation.settings.threshold,
        **_data_description(evaluation),
        "test_openings": test_accesses,
        "source_controlled": [test.to_json() for test in evaluation.source_controlled],
        "scores": {name: evaluation.score(name).to_json() for name in HEADLINES},
        "baseline": None if baseline is None else baseline.to_json(),
    }


def _data_description(evaluation: Evaluation) -> dict[str, Any]:
    settings = evaluation.settings
    return {
        "dataset": settings.dataset,
        "protocol": settings.protocol,
        "split": settings.split,
        "warnings": list(settings.warnings),
        "n": evaluation.n,
        "groups": evaluation.groups,
    }


def protocol_table(clean: JsonObject | None, official: JsonObject | None) -> Table:
    """Compare the results of both protocols.

    Args:
        clean: The contents of the clean protocol's ``report.json``; None where it was not run.
        official: Those of the official protocol's, likewise.

    Raises:
        DatasetError: A report is of another format, or of the other protocol.
    """
    reports = (official, clean)
    for report, protocol in zip(reports, ("official", "clean"), strict=True):
        _check_report(report, protocol)
    cells = [
        *((TITLES[name], "score", ("evaluation", "scores", name)) for name in _COMPARED),
        ("baseline accuracy", "score", ("evaluation", "baseline", "scores", "accuracy")),
        ("McNemar, model and baseline", "p", ("evaluation", "baseline", "mcnemar", "p_value")),
        ("the same by group", "p", ("evaluation", "baseline", "mcnemar", "p_value_by_group")),
        ("n (test scans)", "", ("evaluation", "n")),
        ("groups", "", ("evaluation", "groups")),
        ("test scans opened", "", ("test_openings",)),
        ("warnings", "", ("evaluation", "warnings")),
    ]
    rows = tuple(
        (title, *(_twins_cell(report, name) for report in reports))
        for name, title in _TWIN_SCORES.items()
        if any(_twin_scores(report) for report in reports)
    )
    rows += tuple((title, *(_cell(report, kind, path) for report in reports)) for title, kind, path in cells)
    evaluations = [report["evaluation"] for report in reports if report is not None]
    names = dict.fromkeys(evaluation["dataset"] for evaluation in evaluations)
    title = f"{' / '.join(names)}: the data set's own split (official) beside the one by group (clean)"
    return Table(title, ("", "official", "clean"), rows, _footnotes(evaluations))


def _check_report(report: JsonObject | None, protocol: str) -> None:
    if report is None:
        return
    if report.get("format") != FORMAT:
        msg = f"report.json must be of format {FORMAT}, got {report.get('format')!r}; run brainslice evaluate again"
        raise DatasetError(msg)
    found = report["evaluation"]["protocol"]
    if found != protocol:
        msg = f"the {protocol} protocol's report.json has protocol {found!r}; run brainslice evaluate again"
        raise DatasetError(msg)


def _footnotes(evaluations: Sequence[JsonObject]) -> tuple[str, ...]:
    warnings = dict.fromkeys(warning for evaluation in evaluations for warning in evaluation["warnings"])
    levels = dict.fromkeys(f"{evaluation['resampling']['level']:.0%}" for evaluation in evaluations)
    bins = dict.fromkeys(str(evaluation["bins"]) for evaluation in evaluations)
    return (
        *map(warning_stamp, warnings),
        f"Brackets: intervals at {' / '.join(levels)}, groups taken as independent. ECE in {' / '.join(bins)} bins.",
        "Baseline: a random forest on grey levels, trained on the model's training scans, tested on its test scans.",
        "Research use only.",
    )


def _cell(report: JsonObject | None, kind: str, path: Sequence[str]) -> str:
    if report is None:
        return _NOT_RUN
    value: Any = report
    for key in path:
        value = None if value is None else value[key]
    if isinstance(value, list):
        return ", ".join(value) or "none"
    if value is None:
        return _DASH
    return format_score(value) if kind == "score" else format_p_value(value) if kind == "p" else str(value)


def _twin_scores(report: JsonObject | None) -> JsonObject:
    tests = [] if report is None else report["evaluation"].get("source_controlled", [])
    return next((test["scores"] for test in tests if test["name"] == TWINS), {})


def _twins_cell(report: JsonObject | None, name: str) -> str:
    if report is None:
        return _NOT_RUN
    score = _twin_scores(report).get(name)
    return _DASH if score is None else format_score(score)


def format_score(score: JsonObject) -> str:
    """Format value and interval of a score, given in plain types, with three decimals."""
    if score["value"] is None:
        return _DASH
    bounds = score["interval"]
    return f"{score['value']:.3f} " + (f"[{bounds['low']:.3f}, {bounds['high']:.3f}]" if bounds else "[no interval]")
