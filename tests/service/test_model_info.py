from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from brainslice.bundle.store import write_bundle
from brainslice.bundle.types import BundleDraft
from brainslice.errors import BundleError
from brainslice.inference.predictor import Predictor
from brainslice.service.model_info import CURVE_FILE, TEST_FILE, OperatingCurve, model_info_json, read_model_info
from brainslice.service.settings import Limits

RATE = {"value": 0.9, "low": 0.8, "high": 1.0}


def curve(*thresholds: float) -> dict[str, Any]:
    points = [{"threshold": each, "sensitivity": RATE, "specificity": RATE} for each in thresholds]
    return {"measured_on": "validation", "tumours": 30, "healthy": 10, "groups": 7, "points": points}


def with_files(predictor: Predictor, folder: Path, **files: str) -> Predictor:
    """Give a predictor's bundle more files."""
    found = {name: predictor.bundle.path(name) for name in predictor.bundle.info.files}
    for name, text in files.items():
        found[name] = folder / name
        found[name].write_text(text, encoding="utf-8")
    told = predictor.bundle.info
    draft = BundleDraft(**{name: getattr(told, name) for name in BundleDraft.model_fields})
    return replace(predictor, bundle=write_bundle(folder / "bundle", draft, found))


def test_model_info_without_optional_files(predictor: Predictor) -> None:
    told = read_model_info(predictor, Limits())
    assert told["test"] is told["operating_curve"] is told["card"] is None
    assert told["operating_points"] == []
    assert told["validation"]["n"] == predictor.bundle.info.validation.n
    assert told["warnings"] == ["phantom"]
    assert told["limits"]["files"] == Limits().files
    assert told["threshold"] == predictor.threshold


def test_the_threshold_is_the_one_in_use(predictor: Predictor) -> None:
    assert read_model_info(replace(predictor, threshold=0.77), Limits())["threshold"] == 0.77


def test_model_info_with_optional_files(predictor: Predictor, tmp_path: Path) -> None:
    table, figures = curve(0.1, 0.5), {"scores": {"accuracy": {"value": 0.9}}}
    files = {CURVE_FILE: json.dumps(table), TEST_FILE: json.dumps(figures), "README.md": "# Card\n"}
    told = read_model_info(with_files(predictor, tmp_path, **files), Limits())
    assert told["operating_curve"] == table | {"level": 0.95}
    assert told["test"] == figures
    assert told["card"] == "# Card\n"
    assert json.loads(model_info_json(told)) == told


def test_the_files_of_the_shipped_bundle_are_read() -> None:
    told = read_model_info(Predictor.open(), Limits())
    assert told["operating_curve"]["points"]
    assert "schema" not in told["operating_curve"]
    assert told["test"]["scores"]["accuracy"]["value"] > 0.5
    assert [point["name"] for point in told["operating_points"]]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (CURVE_FILE, "{"),
        (CURVE_FILE, json.dumps(curve())),
        (CURVE_FILE, json.dumps(curve(0.5, 0.5))),
        (CURVE_FILE, json.dumps(curve(0.5, 1.5))),
        (TEST_FILE, "[1]"),
    ],
)
def test_invalid_optional_files_raise(predictor: Predictor, tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(BundleError, match=name) as caught:
        read_model_info(with_files(predictor, tmp_path, **{name: text}), Limits())
    assert len(str(caught.value).splitlines()) == 1


def test_infinite_numbers_raise() -> None:
    with pytest.raises(BundleError, match="finite"):
        model_info_json({"test": float("nan")})


def test_curve_thresholds_must_increase() -> None:
    OperatingCurve.model_validate_json(json.dumps(curve(0.1, 0.2, 0.3)))
    with pytest.raises(ValidationError, match="increasing"):
        OperatingCurve.model_validate_json(json.dumps(curve(0.2, 0.1)))
