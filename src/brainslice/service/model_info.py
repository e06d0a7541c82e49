"""Information about the model: provenance and all measured figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import Field, PositiveInt, TypeAdapter, ValidationError, model_validator

import brainslice
from brainslice.bundle import CARD_FILE, RENAMED_IN_REPORTS, Fraction, Line, ModelBundle, StoredModel, rename_keys
from brainslice.errors import BundleError
from brainslice.inference import Predictor
from brainslice.service.settings import Limits

CURVE_FILE: Final = "operating_curve.json"
"""The bundle's optional table of rates by threshold."""

TEST_FILE: Final = "summary.json"
"""The bundle's optional results on test scans, as ``evaluate`` writes them."""

RESEARCH_USE_ONLY: Final = (
    "For research only: not a medical device; predictions must not be used for diagnosis or treatment."
)

_MAX_FILE_BYTES: Final = 4 << 20

Content = TypeVar("Content")


class StoredRate(StoredModel):
    """A rate with its interval."""

    value: Fraction
    low: Fraction
    high: Fraction


class CurvePoint(StoredModel):
    """The rates at one threshold."""

    threshold: Fraction
    sensitivity: StoredRate
    specificity: StoredRate


class OperatingCurve(StoredModel):
    """Sensitivity and specificity by threshold.

    Attributes:
        measured_on: A description of the scans.
        tumours: The number of tumour scans.
        healthy: The number of healthy scans.
        groups: The number of groups they come from.
        level: The confidence level.
        format_name: The name of the file's format; older files have none.
        points: A row for each threshold, rising.
    """

    measured_on: Line
    tumours: PositiveInt
    healthy: PositiveInt
    groups: PositiveInt
    level: Fraction = 0.95
    format_name: Annotated[Line | None, Field(alias="schema", exclude=True)] = None
    points: Annotated[tuple[CurvePoint, ...], Field(min_length=1, max_length=5000)]

    @model_validator(mode="after")
    def _check_thresholds(self) -> OperatingCurve:
        thresholds = [point.threshold for point in self.points]
        if any(later <= earlier for earlier, later in pairwise(thresholds)):
            msg = "thresholds must be strictly increasing"
            raise ValueError(msg)
        return self


def read_model_info(predictor: Predictor, limits: Limits) -> dict[str, Any]:
    """Collect the information about a model as plain types."""
    bundle, info = predictor.bundle, predictor.bundle.info
    fields = info.model_dump(mode="json")
    kept = ("name", "digest", "created", "backbone", "temperature", "class_map_shape", "provenance", "validation")
    test = _optional(bundle, TEST_FILE, TypeAdapter(dict[str, Any]).validate_json)
    curve = _optional(bundle, CURVE_FILE, OperatingCurve.model_validate_json)
    return {
        **{name: fields[name] for name in kept},
        "version": brainslice.__version__,
        "classes": list(bundle.labels.names),
        "healthy": bundle.labels.healthy,
        "warnings": list(info.warnings),
        "threshold": predictor.threshold,
        "input_size": predictor.recipe.size,
        "test": None if test is None else rename_keys(test, RENAMED_IN_REPORTS),
        "conformal": fields.get("conformal"),
        "operating_points": list(fields.get("operating_points") or ()),
        "operating_curve": None if curve is None else curve.model_dump(mode="json"),
        "card": _card(bundle),
        "research_use_only": RESEARCH_USE_ONLY,
        "limits": {
            "files": limits.files,
            "file_bytes": limits.file_bytes,
            "request_bytes": limits.request_bytes,
        },
    }


def _optional(bundle: ModelBundle, name: str, read: Callable[[str], Content]) -> Content | None:
    if name not in bundle.info.files:
        return None
    path = bundle.path(name)
    try:
        return read(_text(path))
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"]))
        msg = f"{path}: {where or 'the file'}: {fault['msg']}; remove the file from the bundle or write it again"
        raise BundleError(msg) from None


def _card(bundle: ModelBundle) -> str | None:
    return _text(bundle.path(CARD_FILE)) if CARD_FILE in bundle.info.files else None


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()[: _MAX_FILE_BYTES + 1]
        if len(data) <= _MAX_FILE_BYTES:
            return data.decode("utf-8")
        fault = f"must be at most {_MAX_FILE_BYTES:,} bytes long"
    except (OSError, UnicodeDecodeError) as error:
        fault = f"cannot be read ({type(error).__name__})"
    msg = f"{path}: {fault}; copy the bundle again"
    raise BundleError(msg)


def model_info_json(info: dict[str, Any]) -> bytes:
    """Encode the information as JSON.

    Raises:
        BundleError: It contains NaN or infinity.
    """
    try:
        return json.dumps(info, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        msg = f"{TEST_FILE}: must hold finite numbers only ({error}); remove it from the bundle or write it again"
        raise BundleError(msg) from error
