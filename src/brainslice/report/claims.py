"""Figures in documents, bound to results files.

A figure in a Markdown file stands between two comments that name its source: the entry ``accuracy`` of
``results/shipped.json`` is written as ``<!--=shipped.accuracy-->0.879 [0.834, 0.914]<!--/-->``. A format may follow the
name after a colon: ``percent`` (47 %), ``value`` (without the interval), or a target such as ``>=0.95``, which becomes
"met" or "missed". Spanish documents write decimal commas.
"""

from __future__ import annotations

import json
import operator
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from brainslice.errors import DatasetError, UsageError
from brainslice.files import write_text

RESULTS_FOLDER: Final = "results"
"""The folder of the results files in a checkout."""

Figure: TypeAlias = int | float | dict[str, float]
"""A number, or ``value`` with ``low`` and ``high``."""

_MARK: Final = re.compile(r"<!--=([\w-]+)\.(\w+)(?::(\S+?))?-->(.*?)<!--/-->", re.DOTALL)
_FENCE: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_INTERVAL: Final = re.compile(r"\d*[.,]\d+ (?:% )?\[\d*[.,]\d+[;,] \d*[.,]\d+\]")
_TARGETS: Final = {">=": operator.ge, "<=": operator.le}
_WORDS: Final = {False: ("**missed**", "met"), True: ("**no alcanzado**", "alcanzado")}


@dataclass(frozen=True, slots=True)
class Results:
    """A results file.

    Attributes:
        title: What the figures are about.
        command: The commands that made them, in order.
        figures: Name to figure.
    """

    title: str
    command: tuple[str, ...]
    figures: dict[str, Figure]


def read_results(root: Path) -> dict[str, Results]:
    """Read all results files of a checkout, by their names without ending.

    Raises:
        UsageError: There is no such folder.
        DatasetError: A file is not a results file.
    """
    paths = sorted((root / RESULTS_FOLDER).glob("*.json"))
    if not paths:
        msg = f"{root / RESULTS_FOLDER} must hold results files; run in a checkout of brainslice or give --project-root"
        raise UsageError(msg)
    return {path.stem: _read(path) for path in paths}


def _read(path: Path) -> Results:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Results(content["title"], tuple(content["command"]), content["figures"])
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{path}: must be a results file with title, command and figures, got {error!r}"
        raise DatasetError(msg) from error


def documents(root: Path) -> list[Path]:
    """List the Markdown files of a checkout that may hold figures."""
    return sorted([*root.glob("*.md"), *(root / "docs").glob("**/*.md")])


def check_documents(root: Path) -> tuple[int, list[str]]:
    """Compare every marked figure of the documents with the results files.

    Args:
        root: A checkout.

    Returns:
        The number of marked figures, and a line for each that differs, has no source, or is an interval without a mark.
    """
    results = read_results(root)
    count, problems = 0, []
    for path in documents(root):
        text = path.read_text(encoding="utf-8")
        for match in _MARK.finditer(text):
            count += 1
            wanted = _wanted(match, results, _is_spanish(path))
            if wanted != match[4]:
                source = f"{RESULTS_FOLDER}/{match[1]}.json has {wanted}" if wanted else "no results file has it"
                problems.append(f"{_place(root, path, text, match)}: {match[1]}.{match[2]} is {match[4]}, but {source}")
        bare = _MARK.sub(_blank, _FENCE.sub(_blank, text))
        problems += [
            f"{_place(root, path, bare, found)}: {found[0]} is bound to no results file"
            for found in _INTERVAL.finditer(bare)
        ]
    return count, problems


def fill_documents(root: Path) -> list[Path]:
    """Write the figures of the results files into all marks of the documents.

    Returns:
        The documents that changed.

    Raises:
        DatasetError: A mark names no figure.
    """
    results, changed = read_results(root), []
    for path in documents(root):
        text = path.read_text(encoding="utf-8")

        def filled(match: re.Match[str], path: Path = path) -> str:
            wanted = _wanted(match, results, _is_spanish(path))
            if wanted is None:
                msg = f"{path}: {match[1]}.{match[2]} is in no results file"
                raise DatasetError(msg)
            return match[0][: match.start(4) - match.start()] + wanted + "<!--/-->"

        new = _MARK.sub(filled, text)
        if new != text:
            write_text(path, new)
            changed.append(path)
    return changed


def format_figure(figure: Figure, style: str | None = None, *, spanish: bool = False) -> str:
    """Write a figure as documents do.

    Args:
        figure: The figure; whole numbers are counts.
        style: None, ``percent``, ``value``, or a target such as ``>=0.95``.
        spanish: Write decimal commas, and points between thousands.

    Raises:
        DatasetError: There is no such style.
    """
    value = figure["value"] if isinstance(figure, dict) else figure
    if style and style[:2] in _TARGETS:
        return _WORDS[spanish][_TARGETS[style[:2]](value, float(style[2:]))]
    if style not in {None, "percent", "percent1", "value", "value2"}:
        msg = f"the format of a figure must be percent, percent1, value, value2 or a target, got {style!r}"
        raise DatasetError(msg)
    scale, unit = (100, " %") if style and style.startswith("percent") else (1, "")
    digits = {"percent": 0, "percent1": 1, "value2": 2}.get(style or "", 3)
    numbers = [value] if style == "value" or not isinstance(figure, dict) else [value, figure["low"], figure["high"]]
    if isinstance(value, int) and not unit:
        return f"{value:,}".replace(",", "." if spanish else ",")
    first, *ends = [f"{scale * number:.{digits}f}" for number in numbers]
    text = f"{first}{unit}" + (f" [{ends[0]}; {ends[1]}]" if ends else "")
    return text.replace(".", ",") if spanish else text.replace(";", ",")


def _wanted(match: re.Match[str], results: dict[str, Results], spanish: bool) -> str | None:  # noqa: FBT001 - one caller each
    source, name, style, _ = match.groups()
    figure = results[source].figures.get(name) if source in results else None
    return None if figure is None else format_figure(figure, style, spanish=spanish)


def _is_spanish(path: Path) -> bool:
    return path.parent.name == "es" or path.name.endswith(".es.md")


def _blank(match: re.Match[str]) -> str:
    return "\n" * match[0].count("\n")


def _place(root: Path, path: Path, text: str, match: re.Match[str]) -> str:
    return f"{path.relative_to(root).as_posix()}:{text.count(chr(10), 0, match.start()) + 1}"
