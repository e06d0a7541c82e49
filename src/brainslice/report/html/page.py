"""Render the report of a run as one HTML file without any further file or request."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final, TypeAlias

from jinja2 import Environment, PackageLoader, StrictUndefined

from brainslice.errors import UsageError
from brainslice.files import write_text
from brainslice.report.html import charts
from brainslice.report.html.artefacts import RunArtefacts, read_run
from brainslice.report.html.checklists import answers, collect_values
from brainslice.report.html.verdict import verdict

JsonObject: TypeAlias = Mapping[str, Any]

LANGUAGES: Final = ("en", "es")
"""The languages of the page."""

PAGE: Final = "report.html"
"""The name of the page."""

_MIN_P_VALUE: Final = 0.001


class Formats:
    """Numbers and names as text in one language.

    Attributes:
        words: The texts of that language.
    """

    def __init__(self, words: JsonObject) -> None:
        """Format for the language of these texts."""
        self.words = words
        self._separator = "; " if words["decimal"] == "," else ", "

    def number(self, value: float | None, digits: int = 3) -> str:
        """Format a number; a dash where there is none."""
        return "–" if value is None else f"{value:.{digits}f}".replace(".", self.words["decimal"])

    def percent(self, share: float | None) -> str:
        """Format a share as a percentage, with a decimal where it has one."""
        return "–" if share is None else f"{100 * share:.3g}\u202f%".replace(".", self.words["decimal"])

    def interval(self, ends: JsonObject | None) -> str:
        """Format the ends of an interval in brackets."""
        if ends is None:
            return f"[{self.words['text']['no_interval']}]"
        return f"[{self.number(ends['low'])}{self._separator}{self.number(ends['high'])}]"

    def score(self, score: JsonObject | None) -> str:
        """Format a score, or a rate with its ends, with its interval."""
        if score is None or score["value"] is None:
            return "–"
        return f"{self.number(score['value'])} {self.interval(score.get('interval', score))}"

    def p_value(self, value: float | None) -> str:
        """Format a p-value; small ones as a bound."""
        if value is None:
            return "–"
        return f"< {self.number(_MIN_P_VALUE)}" if value < _MIN_P_VALUE else self.number(value)

    def term(self, name: str) -> str:
        """Translate a name that the files hold; unknown ones lose their underscores."""
        return str(self.words["terms"].get(name, name.replace("_", " ")))

    def sentence(self, key: str, **values: Any) -> str:  # noqa: ANN401 - a sentence takes scores, counts and names
        """Fill a sentence of the verdict."""
        shown = {}
        for name, value in values.items():
            if isinstance(value, Mapping):
                shown[name] = self.score(value)
            elif name == "p_value":
                shown[name] = self.p_value(value)
            elif name in {"name", "protocol", "test"}:
                shown[name] = self.term(value)
            else:
                shown[name] = str(value)
        return str(self.words["verdict"][key]).format(**shown)


def write_page(folder: Path, language: str = "en", output: Path | None = None) -> Path:
    """Write the report of a run.

    Args:
        folder: The folder of reports.
        language: ``en`` or ``es``.
        output: The file; ``report.html`` in the folder, or ``report.es.html``, where None.

    Returns:
        The file.

    Raises:
        DatasetError: The folder holds no results, or a damaged file.
        UsageError: There is no such language.
        ResourceError: The disk is full.
    """
    text = render_page(read_run(folder), language)
    path = output or folder / (PAGE if language == LANGUAGES[0] else f"report.{language}.html")
    write_text(path, text)
    return path


def render_page(run: RunArtefacts, language: str = "en") -> str:
    """Render the report as HTML.

    Raises:
        UsageError: There is no such language.
    """
    if language not in LANGUAGES:
        msg = f"language must be one of {list(LANGUAGES)}, got {language!r}"
        raise UsageError(msg)
    words = json.loads(_template_text(f"words_{language}.json"))
    formats = Formats(words)
    environment = Environment(
        loader=PackageLoader("brainslice.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = ("number", "percent", "interval", "score", "p_value", "term")
    environment.filters |= {name: getattr(formats, name) for name in names}
    environment.filters["flatten"] = flatten
    content = {"words": words, "language": language, "run": run, "style": _template_text("style.css")}
    return environment.get_template("page.html").render(content | _computed(run, formats, language))


def _computed(run: RunArtefacts, formats: Formats, language: str) -> dict[str, Any]:
    """Return the charts, verdict, pictures and checklists."""
    report = run.report
    values = collect_values(run, formats.score)
    words = formats.words
    evaluation = None if report is None else report["evaluation"]
    points = ((report or {}).get("analysis") or {}).get("operating_points", ())
    return {
        "verdict": [] if report is None else verdict(report, formats.sentence),
        "pictures": [base64.b64encode(path.read_bytes()).decode("ascii") for path in run.pictures],
        "curves": [] if evaluation is None else charts.curve_charts(evaluation),
        "reliability": [] if evaluation is None else charts.reliability_charts(evaluation),
        "risk": None if evaluation is None else charts.risk_chart(evaluation),
        "decision": charts.decision_chart(run.decision_curve, points),
        "history": charts.history_charts(run.history),
        "robustness": [charts.robustness_charts(sweep) for sweep in run.robustness],
        "checklists": {
            name: answers(items, language, words["answers"], values, words["text"]["gap"])
            for name, items in json.loads(_template_text("checklists.json")).items()
        },
    }


def flatten(tree: JsonObject, parent: str = "") -> list[tuple[str, str]]:
    """List the values of nested settings by dotted name."""
    rows: list[tuple[str, str]] = []
    for key, value in tree.items():
        if isinstance(value, Mapping):
            rows += flatten(value, f"{parent}{key}.")
        else:
            rows.append((f"{parent}{key}", json.dumps(value, ensure_ascii=False)))
    return rows


@cache
def _template_text(name: str) -> str:
    return (resources.files("brainslice.report.html") / "templates" / name).read_text(encoding="utf-8")
