"""What a row says: one answer or one refusal, as JSON and as the cells of a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from brainslice.files import SCHEMA
from brainslice.inference.prediction import Prediction, Refusal
from brainslice.inference.predictor import Predictor
from brainslice.labels import LabelSet
from brainslice.tables.scan_listing import display_path

Row: TypeAlias = dict[str, Any]
"""One answer or refusal in plain types, as JSON tells it."""

Cell: TypeAlias = str | int | float | bool | None
"""One value of a table."""

SEPARATOR: Final = "|"
"""What stands between the words of a cell that holds several."""

_BEFORE: Final = ("path", "frame", "source", "verdict", "class", "tumour_probability", "threshold", "tumour")
_AFTER: Final = (
    *("prediction_set", "coverage", "ood_score", "entropy", "mutual_information"),
    *("reasons", "warnings", "bundle", "refused"),
)
_SHARE: Final = "probability_"
_NUMBERS: Final = frozenset(
    {"tumour_probability", "threshold", "coverage", "ood_score", "entropy", "mutual_information"}
)


def row_of(path: Path, answer: Prediction | Refusal, predictor: Predictor) -> Row:
    """Tell one answer or refusal, with the path and frame it was asked about and by what it was answered."""
    asked = {"path": display_path(path), "frame": predictor.frame, "threshold": predictor.threshold}
    return asked | {"bundle": predictor.bundle.info.digest} | answer.to_json() | {"schema": SCHEMA.format("prediction")}


def columns_of(labels: LabelSet) -> tuple[str, ...]:
    """Name the columns of a table, the same for every table of these classes."""
    return (*_BEFORE, *(f"{_SHARE}{name}" for name in labels.names), *_AFTER)


def cells_of(row: Row, labels: LabelSet) -> dict[str, Cell]:
    """Lay a row out in columns; what it does not say stays empty."""
    shares = row.get("probabilities", {})
    cells: dict[str, Cell] = {name: _flat(row.get(name)) for name in (*_BEFORE, *_AFTER)}
    cells |= {f"{_SHARE}{name}": shares.get(name) for name in labels.names}
    return {name: cells[name] for name in columns_of(labels)}


def is_number(column: str) -> bool:
    """Tell whether a column holds real numbers; ``frame`` holds whole ones, ``tumour`` yes or no, all others text."""
    return column in _NUMBERS or column.startswith(_SHARE)


def _flat(value: object) -> Cell:
    if isinstance(value, list):
        return SEPARATOR.join(str(each["code"]) if isinstance(each, Mapping) else str(each) for each in value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
