"""Addresses that tell about the service and its model."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from brainslice.service.context import get_context
from brainslice.service.metrics import TEXT
from brainslice.service.problems import ErrorCode, ProblemError
from brainslice.service.responses import StatusResponse

router = APIRouter(tags=["service"])


@router.get("/livez")
async def livez() -> StatusResponse:
    """Tell that the process lives."""
    return StatusResponse(status="alive")


@router.get("/readyz")
async def readyz(request: Request) -> StatusResponse:
    """Tell whether the service takes work."""
    if get_context(request).concurrency_limit.draining:
        raise ProblemError(ErrorCode.DRAINING, "the service is ending; ask again when it is back")
    return StatusResponse(status="ready")


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"description": "Counts, as Prometheus reads them", "content": {"text/plain": {}}}},
)
async def metrics(request: Request) -> Response:
    """Give all counts."""
    return Response(get_context(request).metrics.text(), media_type=TEXT)


@router.get(
    "/model",
    response_class=Response,
    responses={200: {"description": "Every figure known about the model", "content": {"application/json": {}}}},
)
async def model(request: Request) -> Response:
    """Tell what the model is, and every figure known about it."""
    return Response(get_context(request).model_info, media_type="application/json")
