"""Schemas of responses, and additions to the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict, Field

from brainslice.scan import InputProblem
from brainslice.service.problems import PROBLEM_TYPE

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class _Response(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)


class ReasonResponse(_Response):
    """A reason for referral."""

    code: str
    message: str


class RemarkResponse(_Response):
    """A property of the file that was assumed, replaced or not used."""

    code: str
    message: str
    value: str | int | None


class PredictionResponse(_Response):
    """The prediction of a scan."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, extra="allow")

    source: str
    predicted: str | None = Field(alias="class", description="null if the input was rejected")
    probabilities: dict[str, Share]
    tumour_probability: Share | None = Field(description="null where no class of the model is healthy")
    threshold: Share
    tumour: bool | None = Field(description="null if the input was rejected or no class is healthy")
    verdict: str
    reasons: list[ReasonResponse]
    prediction_set: list[str]
    coverage: float | None
    ood_score: float | None
    entropy: float
    mutual_information: float | None
    warnings: list[str]
    remarks: list[RemarkResponse]
    bundle: str


class RefusalResponse(_Response):
    """The reason why a scan has no prediction."""

    source: str
    refused: str


class PredictionsResponse(_Response):
    """A prediction or refusal for each scan, in order."""

    predictions: list[PredictionResponse | RefusalResponse]
    model: str


class ExplanationResponse(_Response):
    """A prediction with images and class maps."""

    prediction: PredictionResponse
    network_input: str = Field(description="the network input as a PNG data URL")
    original: str = Field(description="the decoded slice as a PNG data URL")
    maps: dict[str, list[list[float]]] = Field(description="class to rows of its map over the network input")
    map_note: str
    model: str


class SliceResponse(ExplanationResponse):
    """The explanation of a slice of a study."""

    number: int = Field(alias="slice", description="from 1, inferior to superior")


class ViewerResponse(_Response):
    """The handle for the slices of a study."""

    id: str
    slices: int
    expires_in: int = Field(description="seconds after the last request")


class VolumeResponse(_Response):
    """The prediction of a study."""

    model_config = ConfigDict(frozen=True, extra="allow")

    viewer: ViewerResponse
    model: str


class StatusResponse(_Response):
    """The state of the service."""

    status: str


class FieldErrorResponse(_Response):
    """An invalid parameter."""

    field: str
    message: str


class SeriesResponse(_Response):
    """A series to choose."""

    name: str
    slices: int
    rows: int
    columns: int
    plane: str
    kind: str = Field("", description="what it shows where that is not anatomy alone, such as phase")


class InputProblemResponse(_Response):
    """Why a file needs a choice, and the choices."""

    code: InputProblem
    frames: int | None = Field(None, description="the number of frames")
    volume: bool | None = Field(None, description="whether they may be a volume, for /volume")
    series: list[SeriesResponse] | None = None
    plane: str | None = Field(None, description="the acquisition plane")
    row: float | None = Field(None, description="row spacing of resampled axial slices in mm")
    column: float | None = Field(None, description="column spacing in mm")


class ProblemResponse(_Response):
    """A problem (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[FieldErrorResponse] | None = None
    input_problem: InputProblemResponse | None = None


PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    "default": {"model": ProblemResponse, "description": "An error, with what to do"}
}
"""The default response of every path."""


def file_form(name: str, *, several: bool) -> dict[str, Any]:
    """Describe a form with one or several files in a field, which the service parses itself."""
    file = {"type": "string", "contentMediaType": "application/octet-stream"}
    field = {"type": "array", "items": file, "minItems": 1} if several else file
    form = {"type": "object", "required": [name], "properties": {name: field}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, with problems under their own media type."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    for operations in document["paths"].values():
        for operation in operations.values():
            content = operation["responses"]["default"]["content"]
            content[PROBLEM_TYPE] = content.pop("application/json")
    return document
