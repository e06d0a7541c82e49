"""The routes: scans, studies, model and state of the service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from brainslice.inference import Predictor, VolumePrediction, predict_volume
from brainslice.scan import SkippedFiles, decode_volume
from brainslice.service.archive import extract_archives
from brainslice.service.concurrency_limit import RequestSlot, within
from brainslice.service.context import ServiceContext, get_context
from brainslice.service.metrics import TEXT
from brainslice.service.problems import ErrorCode, FieldError, ProblemError
from brainslice.service.responses import (
    ExplanationResponse,
    PredictionsResponse,
    SliceResponse,
    StatusResponse,
    VolumeResponse,
    file_form,
)
from brainslice.service.settings import Limits
from brainslice.service.studies import Study
from brainslice.service.uploads import UploadedFile, receive_files
from brainslice.service.worker import HeatMapRequest

router: Final = APIRouter()

_LAST_SLICE = 100_000


@router.get("/livez", tags=["service"])
async def livez(request: Request) -> StatusResponse:
    """Return 503 if the service must be restarted."""
    get_context(request).check_alive()
    return StatusResponse(status="alive")


@router.get("/readyz", tags=["service"])
async def readyz(request: Request) -> StatusResponse:
    """Return 503 if the service is full, stopping or must be restarted."""
    get_context(request).check_ready()
    return StatusResponse(status="ready")


@router.get(
    "/metrics",
    tags=["service"],
    response_class=Response,
    responses={200: {"description": "Prometheus metrics", "content": {"text/plain": {}}}},
)
async def metrics(request: Request) -> Response:
    """Return the Prometheus metrics."""
    return Response(get_context(request).metrics.text(), media_type=TEXT)


@router.get(
    "/model",
    tags=["service"],
    response_class=Response,
    responses={200: {"description": "Information about the model", "content": {"application/json": {}}}},
)
async def model(request: Request) -> Response:
    """Return the information about the model."""
    return Response(get_context(request).model_info, media_type="application/json")


@router.post(
    "/predict", tags=["scans"], response_model=PredictionsResponse, openapi_extra=file_form("files", several=True)
)
async def predict(request: Request) -> dict[str, Any]:
    """Predict or refuse each scan of a form, in order."""
    service = get_context(request)
    files, slot = await _receive(request, "files", service.settings.limits.files)
    answers = await within(service.settings.limits.answer_seconds, slot, service.worker.predict(files))
    return {
        "predictions": [answer.to_json() for answer in answers],
        "model": service.predictor.bundle.info.digest,
    }


@router.post(
    "/explain",
    tags=["scans"],
    response_model=ExplanationResponse,
    responses={200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}},
    openapi_extra=file_form("file", several=False),
)
async def explain(
    request: Request,
    answer_format: Annotated[Literal["png", "json"], Query(alias="format")] = "png",
    name: Annotated[str | None, Query(alias="class", description="the class of the PNG's heat map")] = None,
    opacity: Annotated[float, Query(ge=0.0, le=1.0, allow_inf_nan=False)] = 0.65,
    frame: Annotated[int | None, Query(alias="slice", ge=1, le=_LAST_SLICE)] = None,
) -> Any:  # noqa: ANN401 - an image or JSON
    """Draw a scan beside its overlay, or return prediction, images and maps as JSON."""
    service = get_context(request)
    _check_class(service, name)
    (file,), slot = await _receive(request, "file", 1)
    seconds = service.settings.limits.answer_seconds
    if answer_format == "json":
        return await within(seconds, slot, service.worker.explain(file, frame))
    image = await within(seconds, slot, service.worker.draw(file, frame, HeatMapRequest(name, opacity)))
    return Response(image, media_type="image/png")


def _check_class(service: ServiceContext, name: str | None) -> None:
    names = service.predictor.bundle.labels.names
    if name is not None and name not in names:
        fault = f"must be one of {', '.join(names)}"
        raise ProblemError(ErrorCode.BAD_VALUE, f"the class {fault}", [FieldError("class", fault)])


@dataclass(frozen=True, slots=True)
class _VolumeChoice:
    """The choice among several volumes: the prefix of a series name, or the first at each position."""

    series: str | None
    first: bool


StudyId = Annotated[str, Path(max_length=100, description="the id from /volume")]


@router.post("/volume", tags=["volumes"], response_model=VolumeResponse, openapi_extra=file_form("files", several=True))
async def volume(
    request: Request,
    series: Annotated[str | None, Query(max_length=64, description="the name of a series, from the refusal")] = None,
    first: Annotated[bool, Query(description="take the first of several volumes, such as times or echoes")] = False,  # noqa: FBT002 - a query parameter
) -> dict[str, Any]:
    """Predict a study: a NIfTI file, the files of a DICOM series, or a zip of either."""
    service = get_context(request)
    files, slot = await _receive(request, "files", service.settings.limits.study_files)
    work = _predict_volume(service, files, slot, _VolumeChoice(series, first))
    return await within(service.settings.limits.answer_seconds, slot, work)


@router.get("/volume/{study_id}/slices/{number}", tags=["volumes"], response_model=SliceResponse)
async def volume_slice(
    request: Request,
    study_id: StudyId,
    number: Annotated[int, Path(ge=1, le=100_000, description="from 1, inferior to superior")],
) -> dict[str, Any]:
    """Return prediction, images and maps of an axial slice of a study."""
    service = get_context(request)
    study = service.studies.get(study_id)
    seconds = service.settings.limits.answer_seconds
    return await within(seconds, service.concurrency_limit.enter(), _explain_slice(service, study, number))


@router.delete("/volume/{study_id}", tags=["volumes"], status_code=204)
async def delete_volume(request: Request, study_id: StudyId) -> Response:
    """Delete a study."""
    get_context(request).studies.delete(study_id)
    return Response(status_code=204)


async def _predict_volume(
    service: ServiceContext, files: list[UploadedFile], slot: RequestSlot, choice: _VolumeChoice
) -> dict[str, Any]:
    limits = service.settings.limits
    study, prediction = await service.worker.study_threads.run(
        _predict_study, service.predictor, files, limits, slot, choice
    )
    return {
        **prediction.to_json(),
        "viewer": {"id": service.studies.add(study), "slices": study.slices, "expires_in": int(limits.study_seconds)},
        "model": service.predictor.bundle.info.digest,
    }


def _predict_study(
    predictor: Predictor, files: list[UploadedFile], limits: Limits, slot: RequestSlot, choice: _VolumeChoice
) -> tuple[Study, VolumePrediction]:
    name = files[0].name if len(files) == 1 else f"{len(files)} files"
    skipped = SkippedFiles()
    members = extract_archives(files, limits, slot.hold, skipped)
    # Files of different folders may share a name.
    data = {f"{number} {file.name}": file.data for number, file in enumerate(members, 1)}
    decoded = decode_volume(data, name, series=choice.series, first=choice.first, skipped=skipped)
    prediction = predict_volume(predictor, decoded, name)
    return Study(name, decoded, prediction.total), prediction


async def _explain_slice(service: ServiceContext, study: Study, number: int) -> dict[str, Any]:
    scan = await service.worker.scan_threads.run(study.slice_at, number)
    explained = await service.worker.explain_slice(scan, f"{study.name}, slice {number}")
    return {**explained, "slice": number}


async def _receive(request: Request, name: str, most: int) -> tuple[list[UploadedFile], RequestSlot]:
    """Take a slot and receive the files of a request; the caller releases the slot."""
    service = get_context(request)
    slot = service.concurrency_limit.enter()
    try:
        return await receive_files(request, name, most, service.settings.limits, slot), slot
    except BaseException:
        slot.leave()
        raise
