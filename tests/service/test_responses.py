from __future__ import annotations

from pathlib import Path

import pytest

from brainslice.inference.prediction import Refusal
from brainslice.inference.predictor import Predictor
from brainslice.service.responses import PredictionResponse, PredictionsResponse, VolumeResponse


def test_an_answer_passes_through_its_schema_unchanged(predictor: Predictor, scans: list[Path]) -> None:
    told = predictor.predict(scans[0]).to_json()
    assert PredictionResponse.model_validate(told).model_dump(by_alias=True) == told


def test_fields_that_come_later_are_kept(predictor: Predictor, scans: list[Path]) -> None:
    told = predictor.predict(scans[0]).to_json() | {"later": 1}
    assert PredictionResponse.model_validate(told).model_dump(by_alias=True)["later"] == 1


def test_answers_and_refusals_are_told_apart(predictor: Predictor, scans: list[Path]) -> None:
    rows = [predictor.predict(scans[0]).to_json(), Refusal("a", "a: no").to_json()]
    told = {"predictions": rows, "model": "0"}
    assert PredictionsResponse.model_validate(told).model_dump(by_alias=True) == told


def test_an_answer_without_probabilities_is_none(predictor: Predictor, scans: list[Path]) -> None:
    told = predictor.predict(scans[0]).to_json()
    del told["probabilities"]
    with pytest.raises(ValueError, match="probabilities"):
        PredictionResponse.model_validate(told)


def test_all_that_is_said_of_a_volume_is_kept() -> None:
    told = {"viewer": {"id": "x", "slices": 3, "expires_in": 9}, "model": "0", "curve": [1], "notes": ["n"]}
    assert VolumeResponse.model_validate(told).model_dump() == told
