"""Addresses that tell about the service and its model."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from brainslice.serve.answers import StatusAnswer
from brainslice.serve.metrics import TEXT
from brainslice.serve.problems import Fault, ProblemError
from brainslice.serve.service import service_of

router = APIRouter(tags=["service"])


@router.get("/livez")
async def livez() -> StatusAnswer:
    """Tell that the process lives."""
    return StatusAnswer(status="alive")


@router.get("/readyz")
async def readyz(request: Request) -> StatusAnswer:
    """Tell whether the service takes work."""
    if service_of(request).admission.draining:
        raise ProblemError(Fault.DRAINING, "the service is ending; ask again when it is back")
    return StatusAnswer(status="ready")


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"description": "Counts, as Prometheus reads them", "content": {"text/plain": {}}}},
)
async def metrics(request: Request) -> Response:
    """Give all counts."""
    return Response(service_of(request).metrics.text(), media_type=TEXT)


@router.get(
    "/model",
    response_class=Response,
    responses={200: {"description": "Every figure known about the model", "content": {"application/json": {}}}},
)
async def model(request: Request) -> Response:
    """Tell what the model is, and every figure known about it."""
    return Response(service_of(request).facts, media_type="application/json")
