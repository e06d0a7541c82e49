from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from brainslice.inference.prediction import Refusal
from brainslice.inference.predictor import Predictor
from brainslice.service.responses import PredictionResponse, PredictionsResponse, VolumeResponse, file_form


def test_predictions_pass_through_their_schema(predictor: Predictor, scans: list[Path]) -> None:
    told = predictor.predict(scans[0]).to_json()
    assert PredictionResponse.model_validate(told).model_dump(by_alias=True) == told


def test_additional_fields_are_kept(predictor: Predictor, scans: list[Path]) -> None:
    told = predictor.predict(scans[0]).to_json() | {"later": 1}
    assert PredictionResponse.model_validate(told).model_dump(by_alias=True)["later"] == 1


def test_predictions_and_refusals_are_distinguished(predictor: Predictor, scans: list[Path]) -> None:
    rows = [predictor.predict(scans[0]).to_json(), Refusal("a", "a: no").to_json()]
    told = {"predictions": rows, "model": "0"}
    assert PredictionsResponse.model_validate(told).model_dump(by_alias=True) == told


def test_prediction_needs_probabilities(predictor: Predictor, scans: list[Path]) -> None:
    told = predictor.predict(scans[0]).to_json()
    del told["probabilities"]
    with pytest.raises(ValueError, match="probabilities"):
        PredictionResponse.model_validate(told)


def test_volume_fields_are_kept() -> None:
    told = {"viewer": {"id": "x", "slices": 3, "expires_in": 9}, "model": "0", "curve": [1], "notes": ["n"]}
    assert VolumeResponse.model_validate(told).model_dump() == told


METHODS = ("get", "post", "delete")


@pytest.fixture
def told(client: TestClient) -> dict[str, Any]:
    return dict(client.get("/openapi.json").json())


def test_schema_lists_every_path(told: dict[str, Any]) -> None:
    assert set(told["paths"]) == {
        *("/predict", "/explain", "/volume", "/volume/{study_id}/slices/{number}", "/volume/{study_id}"),
        *("/model", "/livez", "/readyz", "/metrics"),
    }


def test_every_operation_documents_problems(told: dict[str, Any]) -> None:
    operations = [each for path in told["paths"].values() for name, each in path.items() if name in METHODS]
    assert len(operations) == 9
    for operation in operations:
        (kind,) = operation["responses"]["default"]["content"]
        assert kind == "application/problem+json"
        assert "422" not in operation["responses"]


def test_uploads_are_forms_with_files(told: dict[str, Any]) -> None:
    for path, field in (("/predict", "files"), ("/explain", "file"), ("/volume", "files")):
        form = told["paths"][path]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
        assert form["required"] == [field]


def test_a_form_of_one_file_holds_no_list() -> None:
    schema = file_form("file", several=False)["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert schema["properties"]["file"]["type"] == "string"


def test_response_fields_are_described(told: dict[str, Any]) -> None:
    fields = told["components"]["schemas"]["PredictionResponse"]["properties"]
    assert {"class", "probabilities", "verdict", "reasons", "prediction_set", "ood_score"} <= set(fields)


def test_documentation_page_is_disabled(client: TestClient) -> None:
    assert {client.get(path).status_code for path in ("/docs", "/redoc")} == {404}
