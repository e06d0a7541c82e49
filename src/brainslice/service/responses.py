"""Schemas of responses, and what the OpenAPI document says beyond them."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict, Field

from brainslice.scan.input_problem import InputProblem
from brainslice.service.problems import PROBLEM_TYPE

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class _Response(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)


class ReasonResponse(_Response):
    """Why a person has to look."""

    code: str
    message: str


class PredictionResponse(_Response):
    """The answer to one scan."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, extra="allow")

    source: str
    predicted: str | None = Field(alias="class", description="null where the picture was rejected")
    probabilities: dict[str, Share]
    tumour_probability: Share
    threshold: Share
    tumour: bool | None = Field(description="null where the picture was rejected")
    verdict: str
    reasons: list[ReasonResponse]
    prediction_set: list[str]
    coverage: float | None
    ood_score: float | None
    entropy: float
    mutual_information: float | None
    warnings: list[str]
    bundle: str


class RefusalResponse(_Response):
    """Why there is no answer to one scan."""

    source: str
    refused: str


class PredictionsResponse(_Response):
    """An answer or a refusal for each scan, in their order."""

    predictions: list[PredictionResponse | RefusalResponse]
    model: str


class ExplanationResponse(_Response):
    """A scan's answer with its pictures and class maps."""

    prediction: PredictionResponse
    network_input: str = Field(description="the picture the network saw, as a PNG data address")
    original: str = Field(description="the slice as it was decoded, as a PNG data address")
    maps: dict[str, list[list[float]]] = Field(
        description="class to rows of its map, top to bottom, over what was seen"
    )
    map_note: str
    model: str


class SliceResponse(ExplanationResponse):
    """The same, of one slice of a study."""

    number: int = Field(alias="slice", description="from 1, inferior to superior")


class ViewerResponse(_Response):
    """The handle under which a study's slices can be looked at."""

    id: str
    slices: int
    expires_in: int = Field(description="seconds after the last look")


class VolumeResponse(_Response):
    """The answer to one study."""

    model_config = ConfigDict(frozen=True, extra="allow")

    viewer: ViewerResponse
    model: str


class StatusResponse(_Response):
    """The state of the service."""

    status: str


class FieldErrorResponse(_Response):
    """What is wrong with one parameter."""

    field: str
    message: str


class SeriesResponse(_Response):
    """One of several series that may be chosen."""

    name: str
    slices: int
    rows: int
    columns: int
    plane: str


class InputProblemResponse(_Response):
    """Why a file cannot be answered for as it is, and what there is to choose from."""

    code: InputProblem
    frames: int | None = Field(None, description="how many there are to choose from")
    volume: bool | None = Field(None, description="whether they may be a volume, which /volume answers for")
    series: list[SeriesResponse] | None = None
    plane: str | None = Field(None, description="the plane the scanner took its slices in")
    row: float | None = Field(None, description="millimetres from row to row of an axial slice cut from them")
    column: float | None = Field(None, description="millimetres from column to column of one")


class ProblemResponse(_Response):
    """What is wrong with a request (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[FieldErrorResponse] | None = None
    input_problem: InputProblemResponse | None = None


PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    "default": {"model": ProblemResponse, "description": "What is wrong, and what to do about it"}
}
"""Every address answers with a problem when something is wrong."""


def file_form(name: str, *, several: bool) -> dict[str, Any]:
    """Describe a form with files in one field; the service reads it from the stream by itself.

    Args:
        name: The field.
        several: Whether it may hold more than one.
    """
    file = {"type": "string", "contentMediaType": "application/octet-stream"}
    field = {"type": "array", "items": file, "minItems": 1} if several else file
    form = {"type": "object", "required": [name], "properties": {name: field}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


def describe(app: FastAPI) -> dict[str, Any]:
    """Write the OpenAPI document, problems under their own media type.

    Args:
        app: The application with all its routes.
    """
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    for operations in document["paths"].values():
        for operation in operations.values():
            content = operation["responses"]["default"]["content"]
            content[PROBLEM_TYPE] = content.pop("application/json")
    return document
