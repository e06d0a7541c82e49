"""Predictions and refusals as rows: JSON objects, and cells of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from brainslice.files import SCHEMA
from brainslice.inference import Prediction, Predictor, Refusal
from brainslice.labels import LabelSet
from brainslice.remote import ScanPath
from brainslice.tables.scan_listing import display_path

Row: TypeAlias = dict[str, Any]
"""A prediction or refusal as a JSON object."""

Cell: TypeAlias = str | int | float | bool | None
"""A value of a table."""

SEPARATOR: Final = "|"
"""The separator of several values in a cell."""

_BEFORE: Final = ("path", "frame", "source", "verdict", "class", "tumour_probability", "threshold", "tumour")
_AFTER: Final = (
    *("prediction_set", "coverage", "ood_score", "entropy", "mutual_information"),
    *("reasons", "warnings", "remarks", "bundle", "refused"),
)
_PROBABILITY: Final = "probability_"
_NUMBERS: Final = frozenset(
    {"tumour_probability", "threshold", "coverage", "ood_score", "entropy", "mutual_information"}
)


def row_of(path: ScanPath, answer: Prediction | Refusal, predictor: Predictor) -> Row:
    """Make the row of a prediction or refusal, with path, frame, threshold and bundle."""
    settings = {"path": display_path(path), "frame": predictor.frame, "threshold": predictor.threshold}
    digest = {"bundle": predictor.bundle.info.digest}
    return settings | digest | answer.to_json() | {"schema": SCHEMA.format("prediction")}


def columns_of(labels: LabelSet) -> tuple[str, ...]:
    """Return the column names of every table of these classes."""
    return (*_BEFORE, *(f"{_PROBABILITY}{name}" for name in labels.names), *_AFTER)


def cells_of(row: Row, labels: LabelSet) -> dict[str, Cell]:
    """Return the cells of a row by column, None for missing values."""
    probabilities = row.get("probabilities", {})
    cells: dict[str, Cell] = {name: _flat(row.get(name)) for name in (*_BEFORE, *_AFTER)}
    cells |= {f"{_PROBABILITY}{name}": probabilities.get(name) for name in labels.names}
    return {name: cells[name] for name in columns_of(labels)}


def is_number(column: str) -> bool:
    """Return whether a column holds floating-point numbers."""
    return column in _NUMBERS or column.startswith(_PROBABILITY)


def _flat(value: object) -> Cell:
    if isinstance(value, list):
        return SEPARATOR.join(str(each["code"]) if isinstance(each, Mapping) else str(each) for each in value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
