"""Addresses that answer for single scans."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from brainslice.serve.admission import within
from brainslice.serve.answers import ExplanationAnswer, PredictionsAnswer
from brainslice.serve.desk import Shown
from brainslice.serve.problems import Fault, FieldFault, ProblemError
from brainslice.serve.receiving import receive
from brainslice.serve.schema import file_form
from brainslice.serve.service import Service, service_of

router = APIRouter(tags=["scans"])

_LAST_SLICE = 100_000


@router.post("/predict", response_model=PredictionsAnswer, openapi_extra=file_form("files", several=True))
async def predict(request: Request) -> dict[str, Any]:
    """Answer or refuse each scan of a form, in their order."""
    service = service_of(request)
    files, ticket = await receive(request, "files", service.settings.limits.files)
    answers = await within(service.settings.limits.answer_seconds, ticket, service.desk.predict(files))
    return {
        "predictions": [answer.to_json() for answer in answers],
        "model": service.predictor.bundle.info.digest,
    }


@router.post(
    "/explain",
    response_model=ExplanationAnswer,
    responses={200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}},
    openapi_extra=file_form("file", several=False),
)
async def explain(
    request: Request,
    answer_format: Annotated[Literal["png", "json"], Query(alias="format")] = "png",
    name: Annotated[str | None, Query(alias="class", description="the class whose evidence the PNG shows")] = None,
    opacity: Annotated[float, Query(ge=0.0, le=1.0, allow_inf_nan=False)] = 0.65,
    frame: Annotated[int | None, Query(alias="slice", ge=1, le=_LAST_SLICE)] = None,
) -> Any:  # noqa: ANN401 - a picture or its parts
    """Draw one scan beside its overlay, or give the parts of that picture."""
    service = service_of(request)
    _refuse_unknown_class(service, name)
    (file,), ticket = await receive(request, "file", 1)
    seconds = service.settings.limits.answer_seconds
    if answer_format == "json":
        return await within(seconds, ticket, service.desk.explain(file, frame))
    picture = await within(seconds, ticket, service.desk.draw(file, frame, Shown(name, opacity)))
    return Response(picture, media_type="image/png")


def _refuse_unknown_class(service: Service, name: str | None) -> None:
    names = service.predictor.bundle.labels.names
    if name is not None and name not in names:
        what = f"must be one of {', '.join(names)}"
        raise ProblemError(Fault.BAD_VALUE, f"the class {what}", [FieldFault("class", what)])
