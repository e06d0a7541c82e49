"""Addresses that answer for single scans."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from brainslice.service.concurrency_limit import within
from brainslice.service.context import ServiceContext, get_context
from brainslice.service.openapi import file_form
from brainslice.service.problems import ErrorCode, FieldError, ProblemError
from brainslice.service.responses import ExplanationResponse, PredictionsResponse
from brainslice.service.uploads.receive import receive
from brainslice.service.worker import HeatMapRequest

router = APIRouter(tags=["scans"])

_LAST_SLICE = 100_000


@router.post("/predict", response_model=PredictionsResponse, openapi_extra=file_form("files", several=True))
async def predict(request: Request) -> dict[str, Any]:
    """Answer or refuse each scan of a form, in their order."""
    service = get_context(request)
    files, ticket = await receive(request, "files", service.settings.limits.files)
    answers = await within(service.settings.limits.answer_seconds, ticket, service.worker.predict(files))
    return {
        "predictions": [answer.to_json() for answer in answers],
        "model": service.predictor.bundle.info.digest,
    }


@router.post(
    "/explain",
    response_model=ExplanationResponse,
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
    service = get_context(request)
    _refuse_unknown_class(service, name)
    (file,), ticket = await receive(request, "file", 1)
    seconds = service.settings.limits.answer_seconds
    if answer_format == "json":
        return await within(seconds, ticket, service.worker.explain(file, frame))
    picture = await within(seconds, ticket, service.worker.draw(file, frame, HeatMapRequest(name, opacity)))
    return Response(picture, media_type="image/png")


def _refuse_unknown_class(service: ServiceContext, name: str | None) -> None:
    names = service.predictor.bundle.labels.names
    if name is not None and name not in names:
        what = f"must be one of {', '.join(names)}"
        raise ProblemError(ErrorCode.BAD_VALUE, f"the class {what}", [FieldError("class", what)])
